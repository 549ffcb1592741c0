"""Links of two wires, each with a peer that plays the other end by a script."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from engineio import base_client

from fakes.peer import Script, peer
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, Disconnected, Rejected, RemoteProtocolError
from jarvis_ear.link.connection import BackendLink
from jarvis_ear.link.socketio import SocketIoLink
from jarvis_ear.link.websocket import WebSocketLink
from jarvis_ear.wires.messages import AudioStart
from jarvis_ear.wires.voice_ws import PATH, VoiceWsDialect, VoiceWsHandshake

TIMING = Timing(connect_s=0.5, ping_s=0.1, dead_s=0.4)
PATIENT = Timing(connect_s=2.0)
OPEN = "0" + json.dumps(
    {"sid": "s", "upgrades": [], "pingInterval": 25000, "pingTimeout": 10000, "maxPayload": 1}
)
WELCOME = '40/voice,{"sid":"n"}'

OPENED = web.ResponseKey("opened", asyncio.Event)
"""Set when the link of a test is open."""

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
Use = Callable[[Any], Awaitable[None]]


def event(name: str, payload: object) -> str:
    """Return a Socket.IO event of the namespace of the voice channel."""
    return f"42/voice,{json.dumps([name, payload])}"


@dataclass(frozen=True)
class Wire:
    """What tests of a link need to know about its wire."""

    path: str
    make: Callable[[str, Timing], BackendLink]
    greet: Talk
    """Plays the peer's half of the handshake."""
    greeting: tuple[str, ...]
    """Frames by which a peer that reads nothing opens the link."""
    ping: str
    pong: str
    processing: str
    transcript: str

    @contextlib.asynccontextmanager
    async def link_to(self, url: str, timing: Timing = TIMING) -> AsyncIterator[BackendLink]:
        """Make a link that is closed at the end, in time and leaving nothing behind."""
        link = self.make(url, timing)
        try:
            yield link
        finally:
            before = time.monotonic()
            await link.close()
            assert time.monotonic() - before < 1.0
            assert base_client.connected_clients == []
            assert [task for task in getattr(link, "_tasks", ()) if not task.done()] == []

    def speaker(self, *frames: str | bytes, then: Talk | None = None) -> Script:
        """Return a peer that greets, sends the frames, and reads on until the end.

        In ``live`` it sends them when the link is open: what follows the greeting at once may end
        the link before it is.
        """

        async def script(raw: web.WebSocketResponse, _request: web.Request) -> None:
            await self.greet(raw)
            if opened := raw.get(OPENED):
                await opened.wait()
            for frame in frames:
                await (raw.send_str(frame) if isinstance(frame, str) else raw.send_bytes(frame))
            if then is not None:
                await then(raw)
            async for _ in raw:
                pass

        return script

    def refusal(self, script: Script, timing: Timing = TIMING) -> tuple[Exception, float]:
        """Open a link that the peer refuses; return the error and the seconds it took."""

        async def scene() -> tuple[Exception, float]:
            async with peer(self.path, script) as url, self.link_to(url, timing) as link:
                before = time.monotonic()
                with pytest.raises((ConnectFailed, Rejected, RemoteProtocolError)) as raised:
                    await link.open("token")
                assert not link.usable
                return raised.value, time.monotonic() - before

        return asyncio.run(scene())

    def live(self, script: Script, use: Use, timing: Timing = PATIENT, **options: bool) -> None:

        async def scene() -> None:
            opened = asyncio.Event()

            async def paced(raw: web.WebSocketResponse, request: web.Request) -> None:
                raw[OPENED] = opened
                await script(raw, request)

            served = peer(self.path, paced, **options)
            async with served as url, self.link_to(url, timing) as link:
                await link.open("token")
                assert link.usable
                opened.set()
                await use(link)

        asyncio.run(scene())

    @staticmethod
    async def stays(link: BackendLink) -> None:
        """Wait longer than a backend may be silent: the link does not end."""
        watch = asyncio.create_task(link.run())
        done, _ = await asyncio.wait({watch}, timeout=3 * TIMING.dead_s)
        assert not done
        watch.cancel()

    def ends(
        self, script: Script, match: str, timing: Timing = PATIENT, within_s: float = 3.0
    ) -> None:

        async def use(link: BackendLink) -> None:
            async with asyncio.timeout(within_s):
                with pytest.raises(Disconnected, match=match):
                    await link.run()
            link.abort("again")
            assert not link.usable
            with pytest.raises(Disconnected):
                await link.send(AudioStart())

        self.live(script, use, timing)


def voice_ws(url: str, timing: Timing, path: str = "") -> BackendLink:
    wake = asyncio.Event().set
    return WebSocketLink(VoiceWsHandshake(url, path), VoiceWsDialect(), timing, wake)


async def _greet_socketio(raw: web.WebSocketResponse) -> None:
    await raw.send_str(OPEN)
    assert (await raw.receive()).data == '40/voice,{"token":"token"}'
    await raw.send_str(WELCOME)


async def _greet_voice_ws(raw: web.WebSocketResponse) -> None:
    assert (await raw.receive()).data == '{"type":"ping"}'
    await raw.send_str('{"type":"pong"}')


SOCKETIO = Wire(
    "/socket.io/",
    lambda url, timing: SocketIoLink(url, "den", timing, asyncio.Event().set),
    _greet_socketio,
    (OPEN, WELCOME),
    event("voice:ping", {"agentId": "den"}).replace(" ", ""),
    event("voice:pong", {"agentId": "den"}),
    event("voice:processing", {}),
    event("voice:transcript", {"text": "secret"}),
)
VOICE_WS = Wire(
    PATH,
    voice_ws,
    _greet_voice_ws,
    ('{"type":"pong"}',),
    '{"type":"ping"}',
    '{"type":"pong"}',
    '{"type":"processing"}',
    '{"type":"transcript","text":"secret"}',
)
