"""Wire 0, the voice channel `/ws/voice`: raw sound up, the spoken answer down."""

import argparse
import json
import wave

from websockets.sync.client import connect

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("wav", help="file to send: PCM16, 16 kHz, one channel")
parser.add_argument("--url", default="ws://localhost:4000", help="the server (%(default)s)")
parser.add_argument("--out", default="reply.wav", help="file for the answer (%(default)s)")
args = parser.parse_args()

with wave.open(args.wav) as file:
    pcm = file.readframes(file.getnframes())

with connect(f"{args.url}/ws/voice") as socket, wave.open(args.out, "wb") as answer:
    answer.setparams((1, 2, 16_000, 0, "NONE", ""))
    socket.send(json.dumps({"type": "start"}))
    for place in range(0, len(pcm), 3200):
        socket.send(pcm[place : place + 3200])
    socket.send(json.dumps({"type": "end"}))
    while True:
        frame = socket.recv(timeout=60)
        if isinstance(frame, bytes):  # paced at the speed of speech
            answer.writeframes(frame)
            continue
        message = json.loads(frame)
        if message["type"] != "audio_received":
            print(message)
        if message["type"] in {"done", "error"}:
            break
