"""Library: send a WAV file to the backend, save the spoken reply, print what became of it."""

import argparse
import queue
import sys
import wave
from pathlib import Path

from jarvis_ear.backend import BackendClient, BackendOptions
from jarvis_ear.delivery.events import DeliveryEvent, Finished, ReplyAudio, Transcribed, Verdict

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("wav", help="file to send: PCM16, 16 kHz, one channel")
parser.add_argument("--url", default="http://localhost:4000", help="the backend (%(default)s)")
parser.add_argument("--out", type=Path, default=Path(), help="folder for the reply")
args = parser.parse_args()

with wave.open(args.wav) as file:
    pcm = file.readframes(file.getnframes())

# on_event is called on the network thread and must not block: the queue passes the events on.
events = queue.Queue[DeliveryEvent]()
options = BackendOptions(url=args.url, agent_id="example")  # password: see docs/library.md
with BackendClient(options, on_event=events.put) as client:
    turn = client.send_audio(pcm)  # now, or when the backend is reachable
    while True:
        match events.get():
            case Transcribed(text=text):
                print("understood:", text)
            case ReplyAudio(index=index, audio=audio):  # in playing order
                (args.out / f"reply-{index}.wav").write_bytes(audio)
            case Finished(turn_id=finished, verdict=verdict, code=code) if finished == turn:
                print("verdict:", verdict, code)
                sys.exit(0 if verdict is Verdict.DONE else 1)
            case _:  # other events, and those of later versions
                pass
