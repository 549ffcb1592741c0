"""Wire 0, the voice channel `/ws/voice`: bare sound up, the spoken answer down."""

import argparse
import json
import wave

from websockets.sync.client import connect

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("wav", help="what to say: PCM16, 16 kHz, one channel")
parser.add_argument("--url", default="ws://localhost:4000", help="the server (%(default)s)")
parser.add_argument("--out", default="reply.wav", help="where the answer goes (%(default)s)")
args = parser.parse_args()

with wave.open(args.wav) as file:
    pcm = file.readframes(file.getnframes())

with connect(f"{args.url}/ws/voice") as line, wave.open(args.out, "wb") as answer:
    answer.setparams((1, 2, 16_000, 0, "NONE", ""))
    line.send(json.dumps({"type": "start"}))
    for place in range(0, len(pcm), 3200):
        line.send(pcm[place : place + 3200])
    line.send(json.dumps({"type": "end"}))
    while True:
        frame = line.recv(timeout=60)
        if isinstance(frame, bytes):  # it comes as fast as it is heard
            answer.writeframes(frame)
            continue
        said = json.loads(frame)
        if said["type"] != "audio_received":
            print(said)
        if said["type"] in {"done", "error"}:
            break
