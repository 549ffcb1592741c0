"""A minimal backend for the ear: its reply is the utterance itself."""

import argparse
import secrets
from typing import Any

import socketio
from aiohttp import web

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=4000, help="port on this machine (%(default)s)")
parser.add_argument("--password", default="jarvis", help="for the login (%(default)s)")
args = parser.parse_args()
token = secrets.token_hex(16)
server = socketio.AsyncServer(async_mode="aiohttp", async_handlers=False)
heard: dict[str, str] = {}  # by connection: one WAV file, base64


async def login(request: web.Request) -> web.Response:
    is_ours = (await request.json())["password"] == args.password
    return web.json_response({"token": token}) if is_ours else web.Response(status=401)


async def hear(event: str, sid: str, body: dict[str, Any]) -> None:
    heard[sid] = body.get("audio", heard.get(sid, ""))
    speech = {"index": 0, "contentType": "audio/wav", "audio": heard[sid]}
    reply = {"processing": {}, "transcript": {"text": "?"}, "tts_chunk": speech}
    answers: dict[str, Any] = {"voice:audio_start": {"listening": {}}, "voice:ping": {"pong": body}}
    answers["voice:audio_end"] = reply | {"tts_done": {"totalChunks": 1}}
    for name, payload in answers.get(event, {}).items():
        await server.emit(f"voice:{name}", payload, to=sid, namespace="/voice")


server.on("connect", lambda _sid, _request, auth: auth["token"] == token, namespace="/voice")
server.on("*", hear, namespace="/voice")
server.attach(app := web.Application())
app.router.add_post("/api/auth/login", login)
web.run_app(app, host="127.0.0.1", port=args.port)
