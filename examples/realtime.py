"""Wire 4, the realtime stream: WAV slices up, partial transcripts down during speech."""

import argparse
import io
import json
import wave
from pathlib import Path

import requests
from websockets.sync.client import connect

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("wav", help="WAV file to send")
parser.add_argument("--url", default="http://localhost:4000", help="the server (%(default)s)")
parser.add_argument("--password", default="jarvis", help="of the server (%(default)s)")
parser.add_argument("--out", type=Path, default=Path(), help="folder for the reply")
args = parser.parse_args()

login = requests.post(f"{args.url}/api/auth/login", json={"password": args.password}, timeout=10)
login.raise_for_status()
socket_url = args.url.replace("http", "ws", 1) + "/ws/realtime"
token = login.json()["token"]
with connect(socket_url, subprotocols=[token]) as ws, wave.open(args.wav) as file:
    while pcm := file.readframes(file.getframerate() // 10):  # 100 ms
        with wave.open(buffer := io.BytesIO(), "wb") as piece:
            piece.setparams(file.getparams())
            piece.writeframes(pcm)
        ws.send(buffer.getvalue())
    ws.send(json.dumps({"event": "end"}))
    state, sentence = "", 0
    while state not in {"idle", "error"}:
        frame = ws.recv(timeout=60)
        if isinstance(frame, bytes):
            (args.out / f"reply-{sentence}.wav").write_bytes(frame)
            sentence += 1
        else:
            message = json.loads(frame)["payload"]
            state = message.get("state", "")
            print(message, flush=True)
