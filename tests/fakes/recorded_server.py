"""A server that says again what one has said in a recorded turn, word for word.

What the client said in the recording is a cue: when the client says something of that kind, it is
answered by what followed. A cue that comes once more (a ping) is answered once more.
"""

import json
from typing import Any, Final

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from fakes.exchange import Line, load
from fakes.socketio_voice import SocketIoVoice
from fakes.voice_script import Emit
from fakes.websocket_server import WebSocketServer, refusal

PATHS: Final = {
    "voice_ws": "/ws/voice",
    "session_pcm": "/ws/sessions/recorded",
    "event_bus": "/ws",
    "realtime_wav": "/ws/realtime",
}
TOKEN: Final = "recorded"


class Prompter:
    """Knows what follows each cue. One for each connection."""

    def __init__(self, recording: list[Line]) -> None:
        self.greeting: list[Any] = []
        self._cues: list[tuple[str, list[Any]]] = []
        for line in recording:
            if line.sender == "client":
                self._cues.append((kind_of(line.said), []))
            else:
                (self._cues[-1][1] if self._cues else self.greeting).append(line.said)
        self._known: dict[str, list[Any]] = {}

    def answers(self, said: Any) -> list[Any]:
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
    match said:
        case bytes():
            return "sound"
        case [event, _]:
            return str(event)
        case {"type": kind} | {"event": kind}:
            return str(kind)
    return "nonsense"


class RecordedWebSocket(WebSocketServer):
    """Plays the server of the recording of one of the bare WebSocket wires."""

    def __init__(self, wire: str) -> None:
        super().__init__()
        self._path = PATHS[wire]
        self._prompter = Prompter(load(wire))

    def admit(self, request: Request) -> Response | None:
        return None if request.path == self._path else refusal(404)

    def post(self, _path: str, _asked: Any, _token: str | None) -> tuple[int, Any]:
        return 201, {"id": "recorded", "token": TOKEN}

    def greet(self, line: ServerConnection) -> None:
        for said in self._prompter.greeting:
            line.send(_frame(said))

    def hear(self, line: ServerConnection, frame: str | bytes) -> None:
        said = frame if isinstance(frame, bytes) else json.loads(frame)
        for answer in self._prompter.answers(said):
            line.send(_frame(answer))

    def say_the_rest(self) -> None:
        for said in self._prompter.rest():
            self.throw(_frame(said))


class RecordedSocketIo(SocketIoVoice):
    """Plays the server of the recording of Socket.IO; it has no login and no greeting."""

    greets = False

    def __init__(self) -> None:
        super().__init__()
        self._prompter = Prompter(load("voice_socketio"))

    def admits(self, _auth: object) -> bool:
        return True

    async def hear(self, sid: str, event: str, payload: Any) -> None:
        for said in self._prompter.answers([f"voice:{event}", payload]):
            await self._emit(sid, _event(said))

    def say_the_rest(self) -> None:
        for said in self._prompter.rest():
            self.throw(_event(said))


def recorded_server(wire: str) -> RecordedWebSocket | RecordedSocketIo:
    """Make the server of one recording; it serves inside a ``with``."""
    return RecordedSocketIo() if wire == "voice_socketio" else RecordedWebSocket(wire)


def _frame(said: Any) -> str | bytes:
    return said if isinstance(said, bytes) else json.dumps(said)


def _event(said: Any) -> Emit:
    event, payload = said
    return Emit(event.removeprefix("voice:"), payload)
