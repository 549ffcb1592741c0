"""Dialect and Handshake: what a WebSocket wire must provide."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import aiohttp

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wires.messages import FromBackend, ToBackend, TtsChunk


@dataclass(frozen=True, slots=True)
class PingFrame:
    """A ping of the WebSocket itself (RFC 6455, 5.5.2), for wires that have no word for it."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PongFrame:
    """The answer to one, or to all up to this one."""

    payload: bytes


Frame: TypeAlias = str | bytes | PingFrame | PongFrame
"""What a WebSocket carries: text, binary, and its own control frames."""


_NUMBER: Final = re.compile(rb"[0-9]{1,18}")


class Dialect(Protocol):
    """Translates for one connection, both ways. Pure; owned by the link.

    Foreign frames raise ``RemoteProtocolError`` and nothing else.
    """

    @property
    def is_open(self) -> bool:
        """Whether the backend has shown that it speaks this wire."""
        ...

    def hello(self) -> tuple[Frame, ...]:
        """Return what is said first."""
        ...

    def say(self, message: ToBackend) -> tuple[Frame, ...]:
        """Return the frames that say ``message``."""
        ...

    def hear(self, frame: Frame) -> tuple[FromBackend, ...]:
        """Return what a frame of the backend says."""
        ...


class Fence:
    """Tells when everything that was said before a certain ping has been heard. Pure.

    No wire but Socket.IO answers the start of an utterance: the answer to a ping behind it will
    do. It also proves, before any sound is let go, that the connection is alive.
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
        """Count a ping behind which nothing goes on before it is answered; return its number."""
        self._waits_for = self.ping()
        return self._waits_for

    def pong(self, number: int | None = None) -> bool:
        """Take an answer (None: to the oldest ping), and return whether it is the awaited one."""
        self._answered = self._answered + 1 if number is None else max(self._answered, number)
        if self._waits_for is None or self._answered < self._waits_for:
            return False
        self._waits_for = None
        return True


def numbered(ping: int) -> PingFrame:
    """Return the ping of the WebSocket with that number."""
    return PingFrame(str(ping).encode())


def number_of(pong: PongFrame) -> int:
    """Return which ping is answered; 0 for one that nobody asked."""
    return int(pong.payload) if _NUMBER.fullmatch(pong.payload) else 0


def slices(pcm: bytes, most_bytes: int) -> tuple[bytes, ...]:
    """Cut sound into pieces that hold whole samples."""
    step = most_bytes - most_bytes % SAMPLE_BYTES
    return tuple(pcm[at : at + step] for at in range(0, len(pcm), step))


CONTENT_TYPE: Final = "audio/wav"

FIRST_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES // 2
"""0.5 s: what is collected before the first sound, so that none is missing later. Servers send no
more than 0.2 s ahead of what is heard, and a piece can only be played when it is whole."""

NEXT_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES // 4
"""0.25 s: half of what was collected first, so a late frame does as much as that can cover."""


class SpokenPcm:
    """Collects frames of one reply and gives out sound files. Pure; owned by a dialect.

    Bound: one piece; the reply as a whole is bounded by whoever takes the pieces.
    """

    def __init__(self) -> None:
        self._pcm = bytearray()
        self.pieces = 0
        """Sound files that were given out."""

    def add(self, pcm: bytes) -> tuple[TtsChunk, ...]:
        """Take a frame, and return what is whole with it."""
        self._pcm += pcm
        ready: list[TtsChunk] = []
        while len(self._pcm) >= self._wanted():
            ready.append(self._cut(self._wanted()))
        return tuple(ready)

    def rest(self) -> tuple[TtsChunk, ...]:
        """Return what is left: nothing follows, or not for a while."""
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
    """An address, and what is shown there."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocol: str | None = None
    """A token that travels as one; the backend accepts by echoing it."""


class Handshake(Protocol):
    """Knows the way to the WebSocket of a wire. Used by one link."""

    async def find(self, session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return where to go; raise what ``Link.open`` may raise."""
        ...

    async def leave(self, session: aiohttp.ClientSession) -> None:
        """Say that we have left, where the wire wants it said. May raise, may take its time."""
        ...
