"""One client for each wire, made of other people's libraries and of none of our own code."""

import base64
import json
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeAlias

import requests
import socketio
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from fakes.voice_script import pcm_of, wav

SOON_S: Final = 15.0
"""A deadline for what takes a second or two, on a machine with other work."""

PASSWORD: Final = "jarvis"


class Refused(Exception):
    """The server does not let this client in."""


class Gone(Exception):
    """The server has closed the connection."""


@dataclass(frozen=True)
class Transcript:
    text: str


@dataclass(frozen=True)
class Sound:
    pcm: bytes


@dataclass(frozen=True)
class Trouble:
    """The server could not use what it was sent."""


@dataclass(frozen=True)
class Word:
    kind: str


Heard: TypeAlias = Transcript | Sound | Trouble | Word


class WireClient(ABC):
    """One connection by the plain websockets library, inside a ``with``. For one thread."""

    name: ClassVar[str]
    path: ClassVar[str]
    garbage: ClassVar[Sequence[Any]]
    """What no client of this wire should send."""

    def __init__(self, url: str, *, token: str | None = None, origin: str | None = None) -> None:
        """Speak with the server at ``url``; show this ``token``, or what is needed."""
        self.url = url
        self.token = token
        self.origin = origin

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        try:
            self._line = self.dial()
        except InvalidStatus as error:
            raise Refused(str(error)) from error

    def dial(self) -> ClientConnection:
        return self.socket(self.path, additional_headers=self.shown())

    def shown(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def socket(self, path: str, **options: Any) -> ClientConnection:
        url = self.url.replace("http", "ws", 1) + path
        origin: Any = self.origin
        line: ClientConnection = connect(
            url, origin=origin, open_timeout=SOON_S, close_timeout=1, **options
        ).__enter__()
        return line

    def close(self) -> None:
        self._line.close()

    def drop(self) -> None:
        self._line.socket.shutdown(socket.SHUT_RDWR)

    def hear(self) -> Heard:
        frame = self.receive()
        return Sound(self.pcm(frame)) if isinstance(frame, bytes) else self.read(json.loads(frame))

    def pcm(self, frame: bytes) -> bytes:
        return frame

    def receive(self) -> str | bytes:
        try:
            return self._line.recv(SOON_S)
        except ConnectionClosed as error:
            raise Gone from error

    def read(self, said: dict[str, Any]) -> Heard:
        match said["type"]:
            case "transcript":
                return Transcript(said["text"])
            case "error":
                return Trouble()
        return Word(said["type"])

    def send(self, frame: str | bytes) -> None:
        try:
            self._line.send(frame)
        except ConnectionClosed as error:
            raise Gone from error

    def say(self, **said: Any) -> None:
        self.send(json.dumps(said))

    def throw(self, thing: Any) -> None:
        self.send(thing)

    def oversize(self, size: int) -> None:
        with suppress(Gone):  # as it should be: hear() raises it
            self.send(bytes(size))

    @abstractmethod
    def begin(self, pcm: bytes) -> None:
        """Begin an utterance with this sound."""

    @abstractmethod
    def end(self) -> None:
        """End the utterance."""

    @abstractmethod
    def fence(self) -> None:
        """Return when the server has dealt with everything so far, or raise Gone."""

    def skip_to(self, kind: str) -> None:
        while self.hear() != Word(kind):
            pass

    def utter(self, pcm: bytes) -> None:
        self.begin(pcm)
        self.end()

    def interrupt(self) -> None:
        """Silence the answer, on a wire that has a word for it: the others just go on."""
        self.fence()

    def wait_for_the_end(self) -> None:
        with suppress(Gone):
            while True:
                self.hear()

    def answer(self, enough: int = 1) -> tuple[str, bytes]:
        """Return what was understood, and at least ``enough`` bytes of the spoken answer.

        Call ``fence`` first if it was sent what it cannot use.
        """
        text, sound = "", b""
        while not text or len(sound) < enough:
            match self.hear():
                case Transcript(said):
                    text, sound = said, b""
                case Sound(pcm):
                    sound += pcm
                case Trouble():
                    raise AssertionError("the server could not use the utterance")
                case _:
                    pass
        return text, sound


def log_in(url: str) -> str:
    answer = requests.post(f"{url}/api/auth/login", json={"password": PASSWORD}, timeout=SOON_S)
    return str(answer.json()["token"])


class SocketIoClient(WireClient):
    """Wire 3, by python-socketio's simple client instead."""

    name = "socketio"
    garbage: ClassVar[Sequence[Any]] = (
        ("voice:audio_start", [1]),
        ("voice:audio_chunk", 7),
        ("voice:audio_chunk", {"agentId": "probe", "audio": "%%%"}),
        ("voice:nonsense", {}),
    )

    def open(self) -> None:
        extra = {} if self.origin is None else {"origin": self.origin}
        self._client = socketio.SimpleClient(reconnection=False, websocket_extra_options=extra)
        try:
            self._client.connect(
                self.url,
                namespace="/voice",
                auth={"token": self.token or log_in(self.url)},
                transports=["websocket"],
                wait_timeout=SOON_S,
            )
        except socketio.exceptions.ConnectionError as error:
            raise Refused(str(error)) from error

    def close(self) -> None:
        self._client.disconnect()

    def drop(self) -> None:
        self._client.client.eio.ws.sock.shutdown(socket.SHUT_RDWR)

    def begin(self, pcm: bytes) -> None:
        self._client.emit("voice:audio_start", {"agentId": "probe"})
        audio = base64.b64encode(wav(pcm)).decode()
        self._client.emit("voice:audio_chunk", {"agentId": "probe", "audio": audio, "seq": 0})

    def end(self) -> None:
        self._client.emit("voice:audio_end", {"agentId": "probe"})

    def hear(self) -> Heard:
        event, payload = self._receive()
        match event:
            case "voice:transcript":
                return Transcript(payload["text"])
            case "voice:tts_chunk":
                return Sound(pcm_of(base64.b64decode(payload["audio"])))
            case "voice:error":
                return Trouble()
        return Word(event)

    def _receive(self) -> tuple[str, Any]:
        """Wait in small steps: the library does not notice the end while it waits."""
        deadline = time.monotonic() + SOON_S
        while time.monotonic() < deadline:
            with suppress(socketio.exceptions.TimeoutError):
                try:
                    event, *payload = self._client.receive(timeout=0.1)
                except socketio.exceptions.DisconnectedError as error:
                    raise Gone from error
                return event, payload[0] if payload else None
        raise AssertionError(f"nothing was said within {SOON_S} s")

    def fence(self) -> None:
        self._client.emit("voice:ping", {"agentId": "probe"})
        self.skip_to("voice:pong")

    def throw(self, thing: Any) -> None:
        self._client.emit(*thing)

    def oversize(self, size: int) -> None:
        self._client.emit("voice:audio_chunk", {"agentId": "probe", "audio": "A" * size})


class VoiceWsClient(WireClient):
    """Wire 0."""

    name = "voice-ws"
    path = "/ws/voice"
    garbage = ("{", "[]", '{"type":"nonsense"}', b"\0")

    def begin(self, pcm: bytes) -> None:
        self.say(type="start")
        self.send(pcm)

    def end(self) -> None:
        self.say(type="end")

    def interrupt(self) -> None:
        """Silence the answer, and check that it is silent."""
        self.say(type="interrupt")
        self.skip_to("interrupted")

    def fence(self) -> None:
        self.say(type="ping")
        self.skip_to("pong")


class SessionClient(WireClient):
    """Wire 1, in frames of 20 ms, an utterance ended by silence."""

    name = "session"
    garbage = ("{", "[]", '{"type":"start","sampleRate":8000}', b"\0")
    path = ""

    def dial(self) -> ClientConnection:
        """Announce a session, and open its socket."""
        path = self.path
        if not path:
            made = requests.post(f"{self.url}/api/sessions", json={}, timeout=SOON_S)
            if not made.ok:
                raise Refused(made.text)
            path = made.json()["path"]
        return self.socket(path, additional_headers=self.shown())

    def open(self) -> None:
        """Connect, or raise Refused; then say that sound follows."""
        super().open()
        with suppress(Gone):  # an unknown session: hear() raises it
            self.say(type="start", sampleRate=16_000)
            self.hear()  # how the session is

    def begin(self, pcm: bytes) -> None:
        for place in range(0, len(pcm), 640):
            self.send(pcm[place : place + 640])

    def end(self) -> None:
        self.begin(bytes(32_000))

    def fence(self) -> None:
        self.say(type="start", sampleRate=16_000)
        self.skip_to("status")


class RealtimeClient(WireClient):
    name = "realtime"
    path = "/ws/realtime"
    garbage = ("{", '{"event":"nonsense"}', b"no wav")

    def dial(self) -> ClientConnection:
        """Open the socket with the token as its subprotocol."""
        token: Any = self.token or log_in(self.url)
        return self.socket(self.path, subprotocols=[token])

    def begin(self, pcm: bytes) -> None:
        for place in range(0, len(pcm), 3200):
            self.send(wav(pcm[place : place + 3200]))

    def end(self) -> None:
        self.say(event="end")

    def pcm(self, frame: bytes) -> bytes:
        return pcm_of(frame)

    def read(self, said: dict[str, Any]) -> Heard:
        match said:
            case {"type": "transcript", "payload": {"text": text, "is_final": True}}:
                return Transcript(text)
            case {"type": "status", "payload": {"code": "empty_stream"}}:
                return Word("empty_stream")
            case {"type": "status", "payload": {"state": "error"}}:
                return Trouble()
        return Word(said["type"])

    def fence(self) -> None:
        self.end()
        self.skip_to("empty_stream")


class BusClient(WireClient):
    """Wire 2: no sound, but events."""

    name = "bus"
    path = "/ws"
    garbage = ("{", "[]", '{"type":7}', b"{}", '{"type":"module_control","module":"nose"}')

    def begin(self, pcm: bytes) -> None:
        self.say(type="probe", data={"bytes": len(pcm)})

    def end(self) -> None:
        """Nothing is open."""

    def read(self, said: dict[str, Any]) -> Heard:
        return Trouble() if "error" in said else Word(said["type"])

    def fence(self) -> None:
        self.say(type="ping")
        self.skip_to("pong")


CLIENTS: Final[Mapping[str, type[WireClient]]] = {
    client.name: client
    for client in (SocketIoClient, VoiceWsClient, SessionClient, RealtimeClient, BusClient)
}
"""By the names that the suite has for the wires."""
