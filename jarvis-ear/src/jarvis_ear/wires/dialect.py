"""Dialect and Handshake: what every WebSocket wire has, and what each wire adds."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias, TypeVar, assert_never

import aiohttp

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wires.json_fields import printable
from jarvis_ear.wires.messages import (
    UNCHANGED,
    Answer,
    AudioChunk,
    AudioEnd,
    AudioPart,
    AudioStart,
    BackendError,
    FromBackend,
    Listening,
    PartialTranscript,
    Ping,
    Pong,
    ToBackend,
    Transcript,
    TtsChunk,
    TtsDone,
    VolumeRequest,
)


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


class BackendDialect(ABC):
    """Base of the dialects of the backend. Pure; owned by the link.

    Invalid frames raise ``RemoteProtocolError`` and nothing else. No WebSocket wire acknowledges
    the start of an utterance, so a ping follows it: its answer proves, before any sound is sent,
    that the connection is alive and that everything before the ping has been received.
    """

    def __init__(self) -> None:
        self._pings = 0
        self._pongs = 0
        self._start_ping: int | None = None
        self.is_open = False
        """Whether the backend has shown that it speaks this wire."""

    def hello(self) -> tuple[Frame, ...]:
        """Return the first frames of the connection; none if the backend begins."""
        return ()

    def say(self, message: ToBackend) -> tuple[Frame, ...]:
        """Return the frames for ``message``."""
        match message:
            case Ping():
                return (self._next_ping(),)
            case AudioStart():
                frames = (*self._start(), self._next_ping())
                self._start_ping = self._pings
                return frames
            case AudioPart(_, pcm):
                return self._sound(pcm)
            case AudioEnd():
                return self._end()
            case AudioChunk():
                raise LocalProtocolError("this wire takes an utterance in parts")
            case _:
                assert_never(message)

    def hear(self, frame: Frame) -> tuple[FromBackend, ...]:
        """Return the messages of a frame from the backend."""
        match frame:
            case str():
                return tuple(_printable(message) for message in self._text(frame))
            case bytes():
                return self._speech(frame)
            case PongFrame(payload):
                return self._pong(int(payload) if _NUMBER.fullmatch(payload) else 0)
            case PingFrame():
                return ()
            case _:
                assert_never(frame)

    def _next_ping(self) -> Frame:
        self._pings += 1
        return self._ping(self._pings)

    def _ping(self, number: int) -> Frame:
        return PingFrame(str(number).encode())

    def _pong(self, number: int) -> tuple[FromBackend, ...]:
        """Process the answer to the pings up to ``number``."""
        self._pongs = max(self._pongs, number)
        if self._start_ping is None or self._pongs < self._start_ping:
            return (Pong(),)
        self._start_ping = None
        return (Listening(), Pong())

    def _start(self) -> tuple[Frame, ...]:
        """Prepare for an utterance, and return the frames before the ping."""
        return ()

    @abstractmethod
    def _sound(self, pcm: bytes) -> tuple[Frame, ...]:
        """Return the frames for a part of an utterance."""

    @abstractmethod
    def _end(self) -> tuple[Frame, ...]:
        """Return the frames that end an utterance, and prepare for the reply."""

    @abstractmethod
    def _text(self, frame: str) -> tuple[FromBackend, ...]:
        """Return the messages of a text frame; their texts may have control characters."""

    @abstractmethod
    def _speech(self, frame: bytes) -> tuple[FromBackend, ...]:
        """Return the messages of a binary frame."""


def _printable(message: FromBackend) -> FromBackend:
    if isinstance(message, PartialTranscript | Transcript | Answer | BackendError):
        return replace(message, text=printable(message.text))
    return message


def slices(pcm: bytes, most_bytes: int) -> tuple[bytes, ...]:
    """Cut sound into parts of whole samples."""
    step = most_bytes - most_bytes % SAMPLE_BYTES
    return tuple(pcm[at : at + step] for at in range(0, len(pcm), step))


def check_pcm(frame: bytes) -> bytes:
    """Return the binary ``frame`` if it can be PCM16."""
    if len(frame) % SAMPLE_BYTES:
        raise RemoteProtocolError(f"{len(frame)} bytes of sound; PCM16 needs an even count")
    return frame


CONTENT_TYPE: Final = "audio/wav"

FIRST_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES // 2
"""0.5 s, collected before the first chunk so that playback does not run dry. Servers send at most
0.2 s ahead of playback, and a chunk can only be played when it is complete."""

NEXT_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES // 4
"""0.25 s, half of ``FIRST_BYTES``, so that it covers one late frame."""


class ReplyChunks:
    """Makes chunks with a WAV header from the raw PCM of one reply. Pure; owned by a dialect.

    The sound is mono PCM16 of ``rate`` samples per second. Bound: one chunk; the caller bounds the
    reply as a whole.
    """

    def __init__(self, rate: int = SAMPLE_RATE) -> None:
        self._rate = rate
        self._pcm = bytearray()
        self._cut = 0

    def add(self, pcm: bytes) -> tuple[TtsChunk, ...]:
        """Add a frame, and return the chunks that it completes."""
        self._pcm += pcm
        ready: list[TtsChunk] = []
        while len(self._pcm) >= (size := self._scaled(NEXT_BYTES if self._cut else FIRST_BYTES)):
            ready.append(self._chunk(size))
        return tuple(ready)

    def rest(self) -> tuple[TtsChunk, ...]:
        """Return the remaining sound: nothing follows, or not for a while."""
        return (self._chunk(len(self._pcm)),) if self._pcm else ()

    def finish(
        self, *, follow_up: bool = False, volume: VolumeRequest = UNCHANGED
    ) -> tuple[TtsChunk | TtsDone, ...]:
        """Return the remaining sound and the end of the reply."""
        return (*self.rest(), TtsDone(self._cut, follow_up, volume))

    def _scaled(self, size: int) -> int:
        """Return the bytes that last as long as ``size`` bytes at 16 kHz."""
        return size // SAMPLE_BYTES * self._rate // SAMPLE_RATE * SAMPLE_BYTES

    def _chunk(self, size: int) -> TtsChunk:
        wav = pcm_to_wav(bytes(self._pcm[:size]), self._rate)
        chunk = TtsChunk(self._cut, CONTENT_TYPE, wav)
        del self._pcm[:size]
        self._cut += 1
        return chunk


@dataclass(frozen=True, slots=True)
class Endpoint:
    """URL and headers of a WebSocket."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocol: str | None = None
    """A token that is sent as the subprotocol; the backend accepts it by echoing it."""


class Handshake(ABC):
    """Finds the WebSocket of a wire. Used by one link."""

    @abstractmethod
    async def find(self, session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return the endpoint; raise what ``Link.open`` may raise."""

    async def leave(self, session: aiohttp.ClientSession) -> None:  # noqa: B027 - few wires need it
        """Tell the server that we disconnect, if the wire requires it. May block or raise."""


def bearer(token: str | None) -> Mapping[str, str]:
    """Return the header that shows the token, if there is one."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}
