"""A server that says again what one has said in a recorded turn, word for word.

What the client said in the recording is a cue: when the client says something of that kind, it is
answered by what followed. A cue that comes once more (a ping) is answered once more.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import socketio
from aiohttp import WSMessage, web

from fakes.exchange import Line, load
from fakes.peer import serving

PATHS: Final = {
    "voice_ws": "/ws/voice",
    "session_pcm": "/ws/sessions/recorded",
    "event_bus": "/ws",
    "realtime_wav": "/ws/realtime",
}
TOKEN: Final = "recorded"

Say = Callable[[Any], Awaitable[None]]


class Prompter:
    """Knows what follows each cue. One for each connection."""

    def __init__(self, recording: list[Line]) -> None:
        self.greeting: list[Any] = []
        """What the server says first."""
        self._cues: list[tuple[str, list[Any]]] = []
        for line in recording:
            if line.sender == "client":
                self._cues.append((kind_of(line.said), []))
            else:
                (self._cues[-1][1] if self._cues else self.greeting).append(line.said)
        self._known: dict[str, list[Any]] = {}

    def answers(self, said: Any) -> list[Any]:
        """Return what follows."""
        kind = kind_of(said)
        for cue in self._cues:
            if cue[0] == kind:
                self._cues.remove(cue)
                self._known[kind] = cue[1]
                break
        return self._known.get(kind, [])

    def rest(self) -> list[Any]:
        """Return what the server said to what this client has not said."""
        return [said for _, answers in self._cues for said in answers]


def kind_of(said: Any) -> str:
    """Return what sort of frame or event it is."""
    match said:
        case bytes():
            return "sound"
        case [event, _]:
            return str(event)
        case {"type": kind} | {"event": kind}:
            return str(kind)
    return "nonsense"


class RecordedServer:
    """Plays the server of one recording, on the loop of the test."""

    def __init__(self, wire: str) -> None:
        self._wire = wire
        self._prompter = Prompter(load(wire))
        self._say: Say

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve; gives the address."""
        app = web.Application()
        app.router.add_post("/api/auth/login", _login)
        app.router.add_post("/api/sessions", _announce)
        app.router.add_post("/api/sessions/recorded/stop", _announce)
        if self._wire == "voice_socketio":
            self._attach(app)
        else:
            app.router.add_get(PATHS[self._wire], self._socket)
        async with serving(app) as url:
            yield url

    async def say_the_rest(self) -> None:
        """Say what no cue has come for."""
        for said in self._prompter.rest():
            await self._say(said)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=(TOKEN,))
        await socket.prepare(request)

        async def say(said: Any) -> None:
            await (socket.send_bytes(said) if isinstance(said, bytes) else socket.send_json(said))

        self._say = say
        for said in self._prompter.greeting:
            await say(said)
        async for message in socket:
            for said in self._prompter.answers(_read(message)):
                await say(said)
        return socket

    def _attach(self, app: web.Application) -> None:
        server: Any = socketio.AsyncServer(async_mode="aiohttp")
        server.attach(app)

        async def say(said: Any) -> None:
            await server.emit(*said, namespace="/voice")

        async def hear(event: str, _sid: str, payload: Any) -> None:
            for said in self._prompter.answers([event, payload]):
                await say(said)

        self._say = say
        server.on("connect", _let_in, namespace="/voice")
        server.on("*", hear, namespace="/voice")


def _read(message: WSMessage) -> Any:
    return message.data if isinstance(message.data, bytes) else json.loads(message.data)


async def _login(_request: web.Request) -> web.Response:
    return web.json_response({"token": TOKEN})


async def _announce(_request: web.Request) -> web.Response:
    return web.json_response({"id": "recorded"}, status=201)


def _let_in(_sid: str, _environ: object, _auth: object) -> None:
    """Ask for nothing."""
