"""Dialect and Handshake: what a WebSocket wire must provide."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar

import aiohttp

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wires.messages import Ping, Pong, TtsChunk


@dataclass(frozen=True, slots=True)
class PingFrame:
    """A ping of the WebSocket itself (RFC 6455, 5.5.2), for wires without a ping message."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PongFrame:
    """The answer to one ping, or to all up to this one."""

    payload: bytes


Frame: TypeAlias = str | bytes | PingFrame | PongFrame
"""What a WebSocket carries: text, binary, and its own control frames."""


_NUMBER: Final = re.compile(rb"[0-9]{1,18}")


Sent_contra = TypeVar("Sent_contra", contravariant=True)
Received_co = TypeVar("Received_co", covariant=True)


class Dialect(Protocol[Sent_contra, Received_co]):
    """Translates for one connection, both ways. Pure; owned by the link.

    Invalid frames raise ``RemoteProtocolError`` and nothing else.
    """

    @property
    def is_open(self) -> bool:
        """Whether the server has shown that it speaks this wire."""
        ...

    def hello(self) -> tuple[Frame, ...]:
        """Return the first frames of the connection."""
        ...

    def say(self, message: Sent_contra | Ping) -> tuple[Frame, ...]:
        """Return the frames for ``message``."""
        ...

    def hear(self, frame: Frame) -> tuple[Received_co | Pong, ...]:
        """Return the messages of a frame from the server."""
        ...


class Fence:
    """Tells when everything that was sent before a certain ping has been received. Pure.

    No wire but Socket.IO acknowledges the start of an utterance; the answer to a ping after it
    does. It also proves, before any sound is sent, that the connection is alive.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._answered = 0
        self._waits_for: int | None = None

    def ping(self) -> int:
        """Count a ping, and return its number."""
        self._asked += 1
        return self._asked

    def put_up(self) -> int:
        """Count a ping whose answer must come before the upload goes on; return its number."""
        self._waits_for = self.ping()
        return self._waits_for

    def pong(self, number: int | None = None) -> bool:
        """Process a pong (None: for the oldest ping), and return whether it was awaited."""
        self._answered = self._answered + 1 if number is None else max(self._answered, number)
        if self._waits_for is None or self._answered < self._waits_for:
            return False
        self._waits_for = None
        return True


def numbered(ping: int) -> PingFrame:
    """Return the WebSocket ping with that number."""
    return PingFrame(str(ping).encode())


def number_of(pong: PongFrame) -> int:
    """Return the number of the answered ping; 0 for a pong without a ping."""
    return int(pong.payload) if _NUMBER.fullmatch(pong.payload) else 0


def slices(pcm: bytes, most_bytes: int) -> tuple[bytes, ...]:
    """Cut sound into pieces of whole samples."""
    step = most_bytes - most_bytes % SAMPLE_BYTES
    return tuple(pcm[at : at + step] for at in range(0, len(pcm), step))


CONTENT_TYPE: Final = "audio/wav"

FIRST_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES // 2
"""0.5 s, collected before the first piece so that playback does not run dry. Servers send at most
0.2 s ahead of playback, and a piece can only be played when it is complete."""

NEXT_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES // 4
"""0.25 s, half of ``FIRST_BYTES``, so that it covers one late frame."""


class SpokenPcm:
    """Collects frames of one reply and returns sound files. Pure; owned by a dialect.

    Bound: one piece; the caller bounds the reply as a whole.
    """

    def __init__(self) -> None:
        self._pcm = bytearray()
        self.pieces = 0
        """Number of sound files returned."""

    def add(self, pcm: bytes) -> tuple[TtsChunk, ...]:
        """Add a frame, and return the pieces that it completes."""
        self._pcm += pcm
        ready: list[TtsChunk] = []
        while len(self._pcm) >= self._wanted():
            ready.append(self._cut(self._wanted()))
        return tuple(ready)

    def rest(self) -> tuple[TtsChunk, ...]:
        """Return the remaining sound: nothing follows, or not for a while."""
        return (self._cut(len(self._pcm)),) if self._pcm else ()

    def _wanted(self) -> int:
        return NEXT_BYTES if self.pieces else FIRST_BYTES

    def _cut(self, size: int) -> TtsChunk:
        piece = TtsChunk(self.pieces, CONTENT_TYPE, pcm_to_wav(bytes(self._pcm[:size])))
        del self._pcm[:size]
        self.pieces += 1
        return piece


@dataclass(frozen=True, slots=True)
class Endpoint:
    """URL and headers of a WebSocket."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocol: str | None = None
    """A token that is sent as the subprotocol; the backend accepts it by echoing it."""


class Handshake(Protocol):
    """Finds the WebSocket of a wire. Used by one link."""

    async def find(self, session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return the endpoint; raise what ``Link.open`` may raise."""
        ...

    async def leave(self, session: aiohttp.ClientSession) -> None:
        """Tell the server that we disconnect, if the wire requires it. May block or raise."""
        ...
