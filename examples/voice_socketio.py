"""Wire 3, Socket.IO `/voice`: one utterance up, chunks of speech down."""

import argparse
import base64
from pathlib import Path

import requests
import socketio

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("wav", type=Path, help="WAV file to send")
parser.add_argument("--url", default="http://localhost:4000", help="the backend (%(default)s)")
parser.add_argument("--password", default="jarvis", help="of the backend (%(default)s)")
parser.add_argument("--out", type=Path, default=Path(), help="folder for the reply")
args = parser.parse_args()

login = requests.post(f"{args.url}/api/auth/login", json={"password": args.password}, timeout=10)
login.raise_for_status()
me = {"agentId": "example"}
sound = base64.b64encode(args.wav.read_bytes()).decode()

with socketio.SimpleClient() as line:
    token = {"token": login.json()["token"]}
    line.connect(args.url, auth=token, namespace="/voice", transports=["websocket"])
    line.emit("voice:audio_start", me)
    line.emit("voice:audio_chunk", me | {"audio": sound, "seq": 0})
    line.emit("voice:audio_end", me)
    event = ""
    while event not in {"voice:tts_done", "voice:error"}:
        event, said = line.receive(timeout=60)
        print(event, {name: value for name, value in said.items() if name != "audio"})
        if event == "voice:tts_chunk":  # in any order; the index gives the position
            file = args.out / f"reply-{said['index']}.wav"
            file.write_bytes(base64.b64decode(said["audio"]))
