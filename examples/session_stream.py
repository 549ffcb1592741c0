"""Wire 1, a session `/ws/sessions/{id}`: sound in both directions; a pause ends an utterance."""

import argparse
import json
import wave

import requests
from websockets.sync.client import connect

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("wav", help="file to send: PCM16, 16 kHz, one channel")
parser.add_argument("--url", default="http://localhost:4000", help="the server (%(default)s)")
parser.add_argument("--out", default="reply.wav", help="file for the answer (%(default)s)")
args = parser.parse_args()

with wave.open(args.wav) as file:
    pcm = file.readframes(file.getnframes()) + bytes(32_000)  # a second of silence

session = requests.post(f"{args.url}/api/sessions", json={"mode": "assistant"}, timeout=10).json()
socket_url = args.url.replace("http", "ws", 1) + session["path"]
with connect(socket_url) as socket, wave.open(args.out, "wb") as answer:
    answer.setparams((1, 2, 16_000, 0, "NONE", ""))
    socket.send(json.dumps({"type": "start", "sampleRate": 16_000}))
    for place in range(0, len(pcm), 640):  # frames of 20 ms
        socket.send(pcm[place : place + 640])
    try:
        while True:
            frame = socket.recv(timeout=1 if answer.getnframes() else 60)
            if isinstance(frame, bytes):
                answer.writeframes(frame)
            else:
                print(json.loads(frame))
    except TimeoutError:  # 1 s without a message: this wire does not mark the end of an answer
        socket.send(json.dumps({"type": "stop"}))
requests.post(f"{args.url}/api/sessions/{session['id']}/stop", timeout=10)
