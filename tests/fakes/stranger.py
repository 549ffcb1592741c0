"""Servers of the bare WebSocket wires by somebody who has read our pages and none of our code.

They are made of the plain `websockets` library and of the standard library.
"""

import io
import json
import socket
import threading
import wave
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

PASSWORD: Final = "open sesame"
TOKEN: Final = "a-token-of-its-own"

TRANSCRIPT: Final = "what time is it"
SPEECH: Final = bytes(range(256)) * 125
"""One second that is answered to everything."""

SILENCE_BYTES: Final = 25_600
"""0.8 s: what ends an utterance of a session."""

SOON_S: Final = 10.0


class Stranger(ABC):
    """A server of one wire, inside a ``with``. Asked by one test, which may change ``hangs``."""

    garbage: ClassVar[Sequence[Any]]
    """What no server of this wire should say."""

    def __init__(self, *, asks: bool = False) -> None:
        self.asks = asks
        """Whether it wants a token where its wire can do without."""
        self.hangs = False
        """Whether it stops in the middle of an answer."""
        self.heard: list[bytes] = []
        """The sound of each utterance that was committed."""
        self.joined = 0
        """How many have come in."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is."""

    @abstractmethod
    def __enter__(self) -> Self:
        """Listen."""

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Be gone."""

    @abstractmethod
    def throw(self, thing: Any) -> None:
        """Say to everybody what this wire has no use for."""

    @abstractmethod
    def oversize(self, size: int) -> None:
        """Say one message of so many bytes to everybody."""


class WebSocketStranger(Stranger):
    """What the three have in common: the library speaks WebSocket, the front gives it the lines.

    Each line has a thread. Two threads accept; they end with the ``with``.
    """

    path: ClassVar[str]
    by_subprotocol: ClassVar[bool] = False
    """Whether the token is the subprotocol, and always wanted."""

    def __init__(self, *, asks: bool = False) -> None:
        super().__init__(asks=asks)
        self._lines: set[ServerConnection] = set()
        self._front: _Front
        self._library: Server
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._front.server_address[1]}"

    def __enter__(self) -> Self:
        self._library = serve(
            self._talk,
            "127.0.0.1",
            0,
            process_request=self._admit,
            select_subprotocol=_the_one_offered,
        )
        self._front = _Front(self._library.handler, self.post)
        self._threads = [
            threading.Thread(target=self._library.serve_forever),
            threading.Thread(target=self._front.serve_forever, args=(0.02,)),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._front.shutdown()
        for line in list(self._lines):
            with suppress(OSError):
                line.socket.shutdown(socket.SHUT_RDWR)
        self._front.server_close()
        self._library.shutdown()
        for thread in self._threads:
            thread.join(SOON_S)

    def throw(self, thing: Any) -> None:
        """Say it as it is."""
        for line in list(self._lines):
            with suppress(ConnectionClosed):  # as it may be, in the middle of too much
                line.send(thing)

    def oversize(self, size: int) -> None:
        """Say one message of so many bytes to everybody."""
        self.throw(bytes(size))

    def post(self, path: str, asked: Any, _token: str | None) -> tuple[int, Any]:
        """Answer a POST."""
        if path != "/api/auth/login":
            return 404, {"error": "Not found"}
        if asked != {"password": PASSWORD}:
            return 401, {"error": "Invalid password"}
        return 200, {"token": TOKEN}

    @abstractmethod
    def greet(self, line: ServerConnection) -> None:
        """Say what comes first."""

    @abstractmethod
    def hear(self, line: ServerConnection, frame: str | bytes, sound: bytearray) -> None:
        """Do what a frame wants, after what was collected on this line."""

    def _admit(self, _: ServerConnection, request: Request) -> Response | None:
        if request.path.rpartition("/")[0] != self.path.rpartition("/")[0]:
            return _refusal(404, request)
        if self.by_subprotocol:
            shown = request.headers.get("Sec-WebSocket-Protocol")
            return None if shown == TOKEN else _refusal(403, request)
        shown = request.headers.get("Authorization")
        return None if not self.asks or shown == f"Bearer {TOKEN}" else _refusal(401, request)

    def _talk(self, line: ServerConnection) -> None:
        self._lines.add(line)
        self.joined += 1
        sound = bytearray()
        with suppress(ConnectionClosed, OSError):
            self.greet(line)
            for frame in line:
                self.hear(line, frame, sound)
        self._lines.discard(line)


class VoiceWsStranger(WebSocketStranger):
    """Speaks the voice channel."""

    path = "/ws/voice"
    garbage = ("{", "[]", '{"type":"nonsense"}', '{"type":"transcript","text":7}', b"\0")

    def greet(self, line: ServerConnection) -> None:
        """Say nothing: the client begins."""

    def hear(self, line: ServerConnection, frame: str | bytes, sound: bytearray) -> None:
        """Do what a frame wants."""
        if isinstance(frame, bytes):
            sound += frame
            return _say(line, type="audio_received", bytes=len(frame))
        match json.loads(frame)["type"]:
            case "ping":
                return _say(line, type="pong")
            case "start":
                return sound.clear()
            case "end":
                self.heard.append(bytes(sound))
                return self._answer(line)
        return None

    def _answer(self, line: ServerConnection) -> None:
        _say(line, type="processing")
        _say(line, type="transcript", text=TRANSCRIPT)
        _say(line, type="reply", text="Late.")
        for at in range(0, len(SPEECH), 1280):
            line.send(SPEECH[at : at + 1280])
        if not self.hangs:
            _say(line, type="done")


class SessionStranger(WebSocketStranger):
    """Speaks the session stream."""

    path = "/ws/sessions/one"
    garbage = ("{", "[]", '{"type":"nonsense"}', '{"type":"status","state":7}', b"\0")

    def post(self, path: str, asked: Any, _token: str | None) -> tuple[int, Any]:
        """Announce a session, or answer as the others do."""
        if not path.startswith("/api/sessions"):
            return super().post(path, asked, _token)
        if self.asks and _token != TOKEN:
            return 401, {"error": "Who are you?"}
        session = {"id": "one", "mode": "assistant", "path": self.path}
        return (201 if path == "/api/sessions" else 200), session

    def greet(self, line: ServerConnection) -> None:
        """Say nothing: the client begins."""

    def hear(self, line: ServerConnection, frame: str | bytes, sound: bytearray) -> None:
        """Do what a frame wants."""
        if isinstance(frame, str):
            return _status(line, turn="listening")
        sound += frame
        spoken = sound.rstrip(b"\0")
        if spoken and len(sound) - len(spoken) >= SILENCE_BYTES:
            self.heard.append(bytes(sound))
            sound.clear()
            return self._answer(line)
        return None

    def _answer(self, line: ServerConnection) -> None:
        _status(line, turn="processing")
        _say(line, type="transcript", text=TRANSCRIPT)
        _say(line, type="reply", text="Late.")
        for at in range(0, len(SPEECH), 640):
            line.send(SPEECH[at : at + 640])
        if not self.hangs:
            _status(line, turn="listening")


class RealtimeStranger(WebSocketStranger):
    """Speaks the realtime stream."""

    path = "/ws/realtime"
    by_subprotocol = True
    garbage = ("{", "[]", '{"type":"nonsense","payload":{},"timestamp":"now"}', b"unannounced")

    def greet(self, line: ServerConnection) -> None:
        """Record from the beginning."""
        _event(line, "status", state="recording")

    def hear(self, line: ServerConnection, frame: str | bytes, sound: bytearray) -> None:
        """Do what a frame wants."""
        if isinstance(frame, bytes):
            with wave.open(io.BytesIO(frame)) as slice_:
                sound += slice_.readframes(slice_.getnframes())
            return
        self.heard.append(bytes(sound))
        sound.clear()
        self._answer(line)

    def _answer(self, line: ServerConnection) -> None:
        _event(line, "status", state="transcribing")
        _event(line, "transcript", text="what", is_final=False)
        _event(line, "transcript", text=TRANSCRIPT, is_final=True)
        _event(line, "status", state="responding")
        _event(line, "response", text="Late.")
        file = wav(SPEECH)
        _event(line, "audio", format="audio/wav", size=len(file))
        line.send(file)
        if not self.hangs:
            _event(line, "status", state="idle")


class _Front(ThreadingTCPServer):
    """Gives each connection to whom it wants to speak with: the library knows no POST."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        upgrade: Callable[[socket.socket, Any], None],
        post: Callable[[str, Any, str | None], tuple[int, Any]],
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Desk)
        self.post = post
        self._upgrade = upgrade

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Look at the first word, without taking it."""
        if request.recv(4, socket.MSG_PEEK) == b"POST":
            super().finish_request(request, client_address)
        else:
            self._upgrade(request, client_address)


class _Desk(BaseHTTPRequestHandler):
    """Answers one POST."""

    server: _Front

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, told = self.server.post(self.path, asked, token or None)
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def wav(pcm: bytes) -> bytes:
    """Make a WAV file of PCM16 at 16 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(pcm)
    return file.getvalue()


def _say(line: ServerConnection, **said: Any) -> None:
    line.send(json.dumps(said))


def _status(line: ServerConnection, turn: str) -> None:
    counts = {"receivedBytes": 0, "sentBytes": 0}
    _say(line, type="status", state="running", mode="assistant", turn=turn, **counts)


def _event(line: ServerConnection, kind: str, **payload: Any) -> None:
    _say(line, type=kind, payload=payload, timestamp="2026-01-01T00:00:00Z")


def _refusal(status: int, request: Request) -> Response:
    return Response(status, "", type(request.headers)())


def _the_one_offered(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return offered[0] if offered else None
