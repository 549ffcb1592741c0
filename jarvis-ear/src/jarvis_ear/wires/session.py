"""The session stream ``/ws/sessions/ID``: codec, dialect and handshake."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias, assert_never

import aiohttp
import numpy as np

from jarvis_ear.errors import ConnectFailed, LocalProtocolError, Rejected, RemoteProtocolError
from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, frames
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires.dialect import (
    Endpoint,
    Fence,
    Frame,
    PingFrame,
    PongFrame,
    SpokenPcm,
    number_of,
    numbered,
    slices,
)
from jarvis_ear.wires.json_fields import Vocabulary, printable, write_object

PATH: Final = "/ws/sessions/{session_id}"
API_PATH: Final = "/api/sessions"

MODES: Final = ("loopback", "assistant")
"""What the server sends back: the sound it received, or answers to it."""

LISTENING: Final = "listening"
PROCESSING: Final = "processing"


@dataclass(frozen=True, slots=True)
class SessionStart:
    """Client: sound follows."""

    sample_rate: int = SAMPLE_RATE
    """Samples per second; the only supported rate."""
    mode: str = ""
    """`loopback` or `assistant`; empty, and not sent: as the session was created."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Client: the end of the sound."""


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """Server: state of the session."""

    state: str
    """`running` or `stopped`."""
    mode: str = ""
    """`loopback` or `assistant`."""
    received_bytes: int = 0
    """Bytes of sound received since the session began."""
    sent_bytes: int = 0
    """Bytes of sound sent."""
    turn: str = ""
    """State of the turn: `listening`, or `processing` until the answer is over; empty in
    `loopback`, and from servers that do not report it."""


@dataclass(frozen=True, slots=True)
class SessionTranscript:
    """Server: the transcript."""

    text: str


@dataclass(frozen=True, slots=True)
class SessionReply:
    """Server: the text of the reply; its speech follows in binary frames."""

    text: str


@dataclass(frozen=True, slots=True)
class SessionError:
    """Server: this frame, or this turn, could not be used."""

    message: str


ToServer: TypeAlias = SessionStart | Stop
ToClient: TypeAlias = SessionStatus | SessionTranscript | SessionReply | SessionError

TO_SERVER: Final[Mapping[str, type[ToServer]]] = {"start": SessionStart, "stop": Stop}
"""Messages of clients, by ``type``."""

TO_CLIENT: Final[Mapping[str, type[ToClient]]] = {
    "status": SessionStatus,
    "transcript": SessionTranscript,
    "reply": SessionReply,
    "error": SessionError,
}
"""Messages of the server, by ``type``."""

_FROM_CLIENT: Final = Vocabulary[ToServer](TO_SERVER)
_FROM_SERVER: Final = Vocabulary[ToClient](TO_CLIENT)


def encode(message: ToServer | ToClient) -> str:
    """Return the text frame for ``message``."""
    if isinstance(message, SessionStart) and not message.mode:
        return write_object({"type": "start", "sampleRate": message.sample_rate})
    if isinstance(message, ToServer):
        return _FROM_CLIENT.encode(message)
    return _FROM_SERVER.encode(message)


def decode_from_client(text: str) -> ToServer:
    """Return the message of the client's frame ``text``."""
    message = _FROM_CLIENT.decode(text)
    if isinstance(message, SessionStart) and message.sample_rate != SAMPLE_RATE:
        raise RemoteProtocolError(f"sampleRate {message.sample_rate}; expected {SAMPLE_RATE}")
    if isinstance(message, SessionStart) and message.mode not in ("", *MODES):
        raise RemoteProtocolError(f"an unknown mode; expected one of {', '.join(MODES)}")
    return message


def decode_from_server(text: str) -> ToClient:
    """Return the message of the server's frame ``text``."""
    return _FROM_SERVER.decode(text)


def check_pcm(frame: bytes) -> bytes:
    """Return the binary ``frame`` if it can be PCM16."""
    if len(frame) % SAMPLE_BYTES:
        raise RemoteProtocolError(f"{len(frame)} bytes of sound; PCM16 needs an even count")
    return frame


PAUSE_BYTES: Final = frames(400) * FRAME_BYTES
"""Half of the silence after which a server of the session stream considers an utterance complete;
the other half is a margin for servers with less sensitive detection."""

QUIET: Final = 10 ** (-15 / 10)
"""-15 dB as a ratio of energies: a frame this far below the loudest may be a pause."""


class SilenceGuard:
    """Holds back every pause until speech follows, and everything after a long one. Pure.

    Owned by a dialect, for one utterance, which bounds it. ``rest`` returns what was held back.
    """

    def __init__(self) -> None:
        self._partial = b""
        self._kept = bytearray()
        self._loudest = 0.0

    def add(self, pcm: bytes) -> bytes:
        """Add sound, and return what may be sent: whole frames of 20 ms."""
        data, ahead = self._partial + pcm, bytearray()
        whole = len(data) - len(data) % FRAME_BYTES
        self._partial = data[whole:]
        for at in range(0, whole, FRAME_BYTES):
            ahead += self._take(data[at : at + FRAME_BYTES])
        return bytes(ahead)

    def rest(self) -> bytes:
        """Return what was held back, padded to whole frames: nothing follows."""
        kept = bytes(self._kept) + self._partial
        return kept + bytes(-len(kept) % FRAME_BYTES)

    def _take(self, frame: bytes) -> bytes:
        energy = float(np.mean(np.frombuffer(frame, "<i2").astype(np.float64) ** 2))
        self._loudest = max(self._loudest, energy)
        may_be_pause = energy < self._loudest * QUIET
        if may_be_pause or len(self._kept) >= PAUSE_BYTES:
            self._kept += frame
            return b""
        ahead = bytes(self._kept) + frame
        self._kept.clear()
        return ahead


PART_BYTES: Final = 2 * FRAME_BYTES
"""40 ms, the longer of the two lengths that the owner of the wire specifies."""

SILENCE: Final = bytes(frames(1000) * FRAME_BYTES)
"""Silence that ends an utterance: servers wait for 0.8 s of it."""

QUIET_STATUSES: Final = 2
"""Regular statuses (every 5 s) in a row after which the reply counts as over."""


class SessionDialect:
    """Translates for one connection. Pure; owned by the link."""

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id
        self._fence = Fence()
        self._hold_back = SilenceGuard()
        self._spoken: SpokenPcm | None = None
        self._works = False
        self._quiet: int | None = None
        self._says_status = False
        self.is_open = False
        """Whether the backend has reported that the session runs."""

    def hello(self) -> tuple[Frame, ...]:
        """Start the session: it lasts as long as the connection, mostly in silence."""
        return (encode(SessionStart()),)

    def say(self, message: ear.ToBackend) -> tuple[Frame, ...]:
        """Return the frames for ``message``."""
        match message:
            case ear.Ping():
                return (numbered(self._fence.ping()),)
            case ear.AudioStart():
                self._begin()
                return (numbered(self._fence.put_up()),)
            case ear.AudioPart(_, _, pcm):
                return slices(self._hold_back.add(pcm), PART_BYTES)
            case ear.AudioEnd():
                self._spoken = SpokenPcm()
                return slices(self._hold_back.rest() + SILENCE, PART_BYTES)
            case ear.AudioChunk():
                raise LocalProtocolError("this wire takes an utterance in parts")
            case _:
                assert_never(message)

    def hear(self, frame: Frame) -> tuple[ear.FromBackend, ...]:
        """Return the messages of a frame from the backend."""
        match frame:
            case str():
                return self._words(decode_from_server(frame))
            case bytes():
                return self._speech(check_pcm(frame))
            case PongFrame():
                started = self._fence.pong(number_of(frame))
                if started:
                    return (ear.Listening(self._agent_id), ear.Pong())
                return (ear.Pong(), *(() if self._says_status else self._regular()))
            case PingFrame():
                return ()
            case _:
                assert_never(frame)

    def _begin(self) -> None:
        self._hold_back = SilenceGuard()
        self._spoken = None
        self._works = False
        self._quiet = None

    def _speech(self, pcm: bytes) -> tuple[ear.FromBackend, ...]:
        if self._spoken is None:
            return ()
        self._quiet = 0
        return self._spoken.add(pcm)

    def _words(self, message: ToClient) -> tuple[ear.FromBackend, ...]:
        match message:
            case SessionStatus():
                return self._status(message)
            case SessionTranscript(text):
                self._works = True
                return (ear.Processing(), ear.Transcript(printable(text)))
            case SessionReply(text):
                self._quiet = 0
                return (ear.Answer(printable(text)),)
            case SessionError(text):
                self._works = False
                return (ear.BackendError(printable(text)),)
            case _:
                assert_never(message)

    def _status(self, status: SessionStatus) -> tuple[ear.FromBackend, ...]:
        self._says_status = True
        self.is_open |= status.state == "running"
        if status.turn == PROCESSING:
            self._works = True
            return (ear.Processing(),)
        if status.turn == LISTENING:
            return self._done() if self._works else ()
        return self._regular()

    def _regular(self) -> tuple[ear.FromBackend, ...]:
        """Process a status or pong without a turn state: two in a row end the turn."""
        if self._quiet is None or self._spoken is None:
            return ()
        self._quiet += 1
        return self._done() if self._quiet >= QUIET_STATUSES else self._spoken.rest()

    def _done(self) -> tuple[ear.FromBackend, ...]:
        self._works = False
        self._quiet = None
        if self._spoken is None:
            return (ear.TtsDone(0),)
        rest = self._spoken.rest()
        return (*rest, ear.TtsDone(self._spoken.pieces))


MAX_BODY_BYTES: Final = 64 * 1024
"""A session description takes some hundred bytes."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_UNANNOUNCED: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_REFUSALS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class SessionHandshake:
    """Creates a session, and stops it at the end. One session, one link.

    A backend without such an API (it answers 404 or 405) gets a session id generated here.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session_id: str | None = None
        self._headers: Mapping[str, str] = {}

    async def find(self, session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return the endpoint; raise what ``Link.open`` may raise."""
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with session.post(
            self._url + API_PATH,
            json={"mode": "assistant"},
            headers=self._headers,
            allow_redirects=False,
        ) as answer:
            self._session_id = await _session_id(answer)
        return Endpoint(self._url + PATH.format(session_id=self._session_id), self._headers)

    async def leave(self, session: aiohttp.ClientSession) -> None:
        """Stop the session: the protocol requires that besides closing the socket."""
        if self._session_id is None:
            return
        stop = f"{self._url}{API_PATH}/{self._session_id}/stop"
        async with session.post(stop, headers=self._headers, allow_redirects=False):
            pass


async def _session_id(answer: aiohttp.ClientResponse) -> str:
    if answer.status in _UNANNOUNCED:
        return secrets.token_urlsafe(16)
    if answer.status in _REFUSALS:
        raise Rejected("the backend does not let us in")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ConnectFailed(f"no session: status {answer.status}")
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise RemoteProtocolError(f"no session: status {answer.status}; expected 201")
    return _read_id(await _body(answer))


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for piece in answer.content.iter_chunked(4096):
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise RemoteProtocolError(f"a session told in over {MAX_BODY_BYTES} bytes")
    return body


def _read_id(body: bytes) -> str:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a session told in something else than JSON") from None
    session_id = fields.get("id") if isinstance(fields, dict) else None
    if not isinstance(session_id, str) or not _ID.fullmatch(session_id):
        raise RemoteProtocolError("a session without an id that can stand in a path")
    return session_id
