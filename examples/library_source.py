"""Library: hear raw sound from standard input, and send what follows "Hey Jarvis".

For example: arecord -t raw -f S16_LE -r 16000 -c 1 | python library_source.py
"""

import argparse
import queue
import sys

from jarvis_ear.backend import BackendClient, BackendOptions
from jarvis_ear.delivery.events import DeliveryEvent, Finished, Transcribed
from jarvis_ear.listener import Listener

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--url", default="http://localhost:4000", help="the backend (%(default)s)")
args = parser.parse_args()

events = queue.Queue[DeliveryEvent]()
listener = Listener()
open_turns: set[str] = set()
with BackendClient(BackendOptions(url=args.url, agent_id="example"), on_event=events.put) as client:
    sound = True
    while sound or open_turns:
        pcm = sys.stdin.buffer.read(1280) if sound else b""  # 40 ms, from anywhere
        utterances = listener.hear(pcm) if pcm else listener.finish() if sound else ()
        sound = sound and bool(pcm)
        for utterance in utterances:
            print(f"heard {len(utterance.pcm) / 32_000:.1f} s after the wake word", flush=True)
            open_turns.add(client.send_audio(utterance))
        while not events.empty() or (open_turns and not sound):
            match events.get():
                case Transcribed(text=text):
                    print("understood:", text, flush=True)
                case Finished(turn_id=turn, verdict=verdict):
                    print("verdict:", verdict, flush=True)
                    open_turns.discard(turn)
                case _:
                    pass
