"""Servers that nobody should have to talk to, one behaviour each, in a process of their own.

``with Hostile("accept_only") as server: ...``. A port may be given, so that a good server can take
its place afterwards. All but ``accept_only`` and ``reset_at_once`` accept the login.
"""

import asyncio
import itertools
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from fakes.voice_server import free_port, wait_until

OPEN = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":10000}'
CONNECTED = '40/voice,{"sid":"y"}'
GREETING = '42/voice,["voice:listening",{}]'

HANDSHAKES: dict[str, Sequence[str]] = {
    "mute_after_upgrade": (),
    "open_only": (OPEN,),
    "junk_open": ("0{",),
    "open_without_sid": ('0{"upgrades":[],"pingInterval":25000,"pingTimeout":10000}',),
    "open_no_object": ("0[]",),
    "open_null_interval": ('0{"sid":"x","upgrades":[],"pingInterval":null,"pingTimeout":1}',),
    "no_engine": ("hello there",),
}
"""What is said after the upgrade; then nothing any more."""

STATUSES: dict[str, tuple[int, str]] = {
    "html_200": (200, "<html>Welcome to your router</html>"),
    "status_302": (302, ""),
    "status_429": (429, "slow down"),
    "status_502": (502, "<html>Bad Gateway</html>"),
}
"""What the connection is answered with instead of an upgrade."""

FRAMES: tuple[str, ...] = (
    "",
    " ",
    "x",
    "4",
    "42",
    "42/voice",
    "42/voice,",
    "42/voice,[",
    "42/voice,[]",
    "42/voice,{}",
    "42/voice,7",
    "42/voice,null",
    '42/voice,"text"',
    "42/voice,[null]",
    "42/voice,[7]",
    '42/voice,[["voice:listening"]]',
    '42/voice,["connect"]',
    '42/voice,["disconnect"]',
    '42/voice,["voice:transcript"]',
    '42/voice,["voice:transcript",null]',
    '42/voice,["voice:tts_chunk",{"index":NaN}]',
    '42/voice,["voice:tts_chunk",{"index":1e400,"audio":"","contentType":""}]',
    '42/other,["voice:transcript",{"text":"x"}]',
    '4299999999999999999999["voice:listening",{}]',
    '42/voice,99["voice:listening",{}]',
    "43/voice,1[]",
    "44/voice",
    "41/other",
    "46",
    '451-/voice,["voice:tts_chunk",{"_placeholder":true,"num":"a"}]',
    '451-/voice,["voice:tts_chunk",{"_placeholder":true,"num":0}]',
    '4599-/voice,["voice:tts_chunk",{"_placeholder":true,"num":5}]',
    "5",
    "6",
    "3probe",
    "42/voice,[" * 2000,
    '42/voice,["voice:transcript",{"text":"\\ud800"}]',
    "b!!!!",
)
"""Malformed and unwanted frames: `frames` says the next of them in every turn."""


class Hostile:
    """One such server. Used by one test; its methods wait, within a deadline."""

    def __init__(self, behaviour: str, port: int | None = None) -> None:
        self._behaviour = behaviour
        self.port = free_port() if port is None else port
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fakes.hostile", self._behaviour, str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=_tests(),
        )
        wait_until(lambda: self._line() == "ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait(10)
            self._process.stdout.close()

    def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _tests() -> str:
    return __file__.rpartition("/fakes/")[0]


async def _login(_request: web.Request) -> web.Response:
    return web.json_response({"token": "canary", "expiresIn": "7d"})


class _Program:
    """The server itself."""

    def __init__(self, behaviour: str) -> None:
        self._behaviour = behaviour
        self._frames = itertools.cycle(FRAMES)

    async def socket_io(self, request: web.Request) -> web.StreamResponse:
        if self._behaviour in STATUSES:
            status, text = STATUSES[self._behaviour]
            moved = {"Location": "/elsewhere"} if status == 302 else {}
            return web.Response(status=status, text=text, headers=moved)
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        if self._behaviour in HANDSHAKES:
            for text in HANDSHAKES[self._behaviour]:
                await stream.send_str(text)
            await _listen(stream)
        elif self._behaviour == "close_before_open":
            await stream.close()
        elif self._behaviour == "frames":
            await self._converse(stream)
        return stream

    async def _converse(self, stream: web.WebSocketResponse) -> None:
        """Be a good server that says one strange thing in every turn."""
        await stream.send_str(OPEN)
        await stream.receive()  # its CONNECT
        await stream.send_str(CONNECTED)
        await stream.send_str(GREETING)
        async for message in stream:
            if message.type is not WSMsgType.TEXT or not message.data.startswith("42/voice,"):
                continue
            event, payload = json.loads(message.data.removeprefix("42/voice,"))
            for answer in self._answers(event, {"agentId": payload["agentId"]}):
                await stream.send_str(answer)

    def _answers(self, event: str, agent_id: dict[str, Any]) -> list[str]:
        if event == "voice:ping":
            return [_event("pong", agent_id)]
        if event == "voice:audio_start":
            return [_event("listening", agent_id)]
        if event == "voice:audio_end":
            return [
                _event("processing", {}),
                next(self._frames),
                _event("tts_done", {"totalChunks": 0}),
            ]
        return []


def _event(name: str, payload: dict[str, Any]) -> str:
    return f"42/voice,{json.dumps([f'voice:{name}', payload])}"


async def _listen(stream: web.WebSocketResponse) -> None:
    async for _ in stream:
        pass


async def _serve_http(behaviour: str, port: int) -> None:
    program = _Program(behaviour)
    app = web.Application()
    app.router.add_post("/api/auth/login", _login)
    app.router.add_get("/socket.io/", program.socket_io)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


async def _serve_nothing(port: int) -> None:
    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    await asyncio.start_server(hold, "127.0.0.1", port)


async def _serve_resets(port: int) -> None:
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    await asyncio.start_server(reset, "127.0.0.1", port)


async def _main(behaviour: str, port: int) -> None:
    if behaviour == "accept_only":
        await _serve_nothing(port)
    elif behaviour == "reset_at_once":
        await _serve_resets(port)
    else:
        await _serve_http(behaviour, port)
    print("ready", flush=True)  # noqa: T201 - whoever started it waits for this
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
