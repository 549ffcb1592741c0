"""Dialect: one wire's words for what ear and backend say to each other, from the ear's side."""

import re
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from jarvis_ear.units import SAMPLE_BYTES
from jarvis_ear.wire.voice_messages import FromBackend, ToBackend


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
