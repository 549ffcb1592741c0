"""Socket.IO servers that misbehave on the bare connection, one behaviour each.

``with Hostile("accept_only") as server: ...``. A port may be given, so that a good server can take
its place afterwards. All but ``accept_only`` and ``reset_at_once`` accept the login.
"""

import itertools
import json
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from fakes.websocket_server import WebSocketServer, refusal

OPEN: Final = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":10000}'
CONNECTED: Final = '40/voice,{"sid":"y"}'
GREETING: Final = '42/voice,["voice:listening",{}]'

HANDSHAKES: Final[dict[str, Sequence[str]]] = {
    "mute_after_upgrade": (),
    "open_only": (OPEN,),
    "junk_open": ("0{",),
    "open_without_sid": ('0{"upgrades":[],"pingInterval":25000,"pingTimeout":10000}',),
    "open_no_object": ("0[]",),
    "open_null_interval": ('0{"sid":"x","upgrades":[],"pingInterval":null,"pingTimeout":1}',),
    "no_engine": ("hello there",),
}
"""What is said after the upgrade; then nothing any more."""

STATUSES: Final = {
    "html_200": (200, "<html>Welcome to your router</html>"),
    "status_302": (302, ""),
    "status_429": (429, "slow down"),
    "status_502": (502, "<html>Bad Gateway</html>"),
}
"""What the connection is answered with instead of an upgrade."""

FRAMES: Final = (
    *("", " ", "x", "4", "42", "42/voice", "42/voice,", "42/voice,[", "42/voice,[]", "42/voice,{}"),
    *("42/voice,7", "42/voice,null", '42/voice,"text"', "42/voice,[null]", "42/voice,[7]"),
    '42/voice,[["voice:listening"]]',
    *('42/voice,["connect"]', '42/voice,["disconnect"]'),
    *('42/voice,["voice:transcript"]', '42/voice,["voice:transcript",null]'),
    '42/voice,["voice:tts_chunk",{"index":NaN}]',
    '42/voice,["voice:tts_chunk",{"index":1e400,"audio":"","contentType":""}]',
    '42/other,["voice:transcript",{"text":"x"}]',
    '4299999999999999999999["voice:listening",{}]',
    '42/voice,99["voice:listening",{}]',
    *("43/voice,1[]", "44/voice", "41/other", "46"),
    '451-/voice,["voice:tts_chunk",{"_placeholder":true,"num":"a"}]',
    '451-/voice,["voice:tts_chunk",{"_placeholder":true,"num":0}]',
    '4599-/voice,["voice:tts_chunk",{"_placeholder":true,"num":5}]',
    *("5", "6", "3probe", "42/voice,[" * 2000, "b!!!!"),
    '42/voice,["voice:transcript",{"text":"\\ud800"}]',
)
"""Malformed and unwanted frames: `frames` says the next of them in every turn."""


class Hostile(WebSocketServer):
    """One such server."""

    def __init__(self, behaviour: str, port: int = 0) -> None:
        super().__init__(port=port)
        self._behaviour = behaviour
        self._frames = itertools.cycle(FRAMES)

    def accept(self, connection: socket.socket) -> bool:
        """Speak HTTP, unless the behaviour is to say nothing at all."""
        if self._behaviour == "reset_at_once":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return False
        if self._behaviour == "accept_only":
            with suppress(OSError):
                while connection.recv(4096):
                    pass
            return False
        return True

    def admit(self, _request: Request) -> Response | None:
        if self._behaviour not in STATUSES:
            return None
        status, body = STATUSES[self._behaviour]
        return refusal(status, body, **({"Location": "/elsewhere"} if status == 302 else {}))

    def post(self, _path: str, _asked: Any, _token: str | None) -> tuple[int, Any]:
        return 200, {"token": "canary", "expiresIn": "7d"}

    def greet(self, line: ServerConnection) -> None:
        for text in HANDSHAKES.get(self._behaviour, ()):
            line.send(text)
        if self._behaviour == "close_before_open":
            line.close()
        elif self._behaviour == "frames":
            line.send(OPEN)
            line.recv()  # its CONNECT
            line.send(CONNECTED)
            line.send(GREETING)

    def hear(self, line: ServerConnection, frame: str | bytes) -> None:
        """With ``frames``, be a good server that says one strange thing in every turn."""
        if self._behaviour == "frames" and str(frame).startswith("42/voice,"):
            event, payload = json.loads(str(frame).removeprefix("42/voice,"))
            for answer in self._answers(event, {"agentId": payload["agentId"]}):
                line.send(answer)

    def _answers(self, event: str, agent_id: dict[str, Any]) -> Iterator[str]:
        match event:
            case "voice:ping":
                yield _event("pong", agent_id)
            case "voice:audio_start":
                yield _event("listening", agent_id)
            case "voice:audio_end":
                yield _event("processing", {})
                yield next(self._frames)
                yield _event("tts_done", {"totalChunks": 0})


def _event(name: str, payload: dict[str, Any]) -> str:
    return f"42/voice,{json.dumps([f'voice:{name}', payload])}"
