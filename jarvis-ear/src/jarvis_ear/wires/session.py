"""The session stream ``/ws/sessions/ID``: codec, dialect and handshake."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias, assert_never

import aiohttp
import numpy as np

from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.units import FRAME_BYTES, SAMPLE_RATE, frames
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires.dialect import (
    BackendDialect,
    Endpoint,
    Frame,
    Handshake,
    ReplyChunks,
    bearer,
    check_pcm,
    slices,
)
from jarvis_ear.wires.json_fields import (
    OMITTED,
    Vocabulary,
    read_object,
    write_fields,
    write_object,
)

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
    follow_up: bool = field(default=False, metadata=OMITTED)
    """Whether the server asks the client to listen for what the person answers; at the end of an
    answer only."""
    volume: object = field(default=None, metadata=OMITTED)
    """Volume of replies to set, 0 to 100; at the end of an answer only."""
    volume_change: object = field(default=None, metadata=OMITTED)
    """Points to add to the volume, -100 to 100; at the end of an answer only."""


ToServer: TypeAlias = SessionStart | Stop
ToClient: TypeAlias = SessionStatus | ear.Transcript | ear.Answer | ear.ErrorMessage

TO_SERVER: Final = Vocabulary[ToServer]({"start": SessionStart, "stop": Stop})
"""Messages of clients, by ``type``."""

TO_CLIENT: Final = Vocabulary[ToClient](
    {
        "status": SessionStatus,
        "transcript": ear.Transcript,
        "reply": ear.Answer,
        "error": ear.ErrorMessage,
    }
)
"""Messages of the server, by ``type``. The speech of a reply follows in binary frames."""

decode_from_server = TO_CLIENT.decode


def encode(message: ToServer | ToClient) -> str:
    """Return the text frame for ``message``."""
    if isinstance(message, SessionStart) and not message.mode:
        return write_object({"type": "start", "sampleRate": message.sample_rate})
    if isinstance(message, ToServer):
        return TO_SERVER.encode(message)
    return TO_CLIENT.encode(message)


def decode_from_client(text: str) -> ToServer:
    """Return the message of the client's frame ``text``."""
    message = TO_SERVER.decode(text)
    if isinstance(message, SessionStart) and message.sample_rate != SAMPLE_RATE:
        raise RemoteProtocolError(f"sampleRate {message.sample_rate}; expected {SAMPLE_RATE}")
    if isinstance(message, SessionStart) and message.mode not in ("", *MODES):
        raise RemoteProtocolError(f"an unknown mode; expected one of {', '.join(MODES)}")
    return message


PAUSE_BYTES: Final = frames(400) * FRAME_BYTES
"""Half of the silence after which a server of the session stream considers an utterance complete;
the other half is a margin for servers with less sensitive detection."""

QUIET: Final = 10 ** (-15 / 10)
"""-15 dB as a ratio of energies: a frame this far below the loudest may be a pause."""


class SilenceGuard:
    """Keeps every pause until speech follows, and everything after a long one. Pure.

    Owned by a dialect, for one utterance, which bounds it.
    """

    def __init__(self) -> None:
        self._partial = b""
        self._kept = bytearray()
        self._loudest = 0.0

    def add(self, pcm: bytes) -> bytes:
        """Add sound, and return what may be sent: whole frames of 20 ms."""
        data, ready = self._partial + pcm, bytearray()
        whole = len(data) - len(data) % FRAME_BYTES
        self._partial = data[whole:]
        for at in range(0, whole, FRAME_BYTES):
            ready += self._add_frame(data[at : at + FRAME_BYTES])
        return bytes(ready)

    def rest(self) -> bytes:
        """Return what was kept, padded to whole frames: nothing follows."""
        kept = bytes(self._kept) + self._partial
        return kept + bytes(-len(kept) % FRAME_BYTES)

    def _add_frame(self, frame: bytes) -> bytes:
        energy = float(np.mean(np.frombuffer(frame, "<i2").astype(np.float64) ** 2))
        self._loudest = max(self._loudest, energy)
        self._kept += frame
        if energy < self._loudest * QUIET or len(self._kept) > PAUSE_BYTES:
            return b""
        ready = bytes(self._kept)
        self._kept.clear()
        return ready


PART_BYTES: Final = 2 * FRAME_BYTES
"""40 ms, the longer of the two lengths that the owner of the wire specifies."""

SILENCE: Final = bytes(frames(1000) * FRAME_BYTES)
"""Silence that ends an utterance: servers wait for 0.8 s of it."""

QUIET_STATUSES: Final = 2
"""Regular statuses (every 5 s) in a row after which the reply counts as over."""


class SessionDialect(BackendDialect):
    """Translates for one connection; open once the backend has reported that the session runs.

    The wire has no message for the end of a reply. A status with the turn ``listening`` ends it, or
    ``QUIET_STATUSES`` statuses in a row without a turn (pongs, if the server sends no statuses).
    """

    def __init__(self) -> None:
        super().__init__()
        self._guard = SilenceGuard()
        self._reply: ReplyChunks | None = None
        self._processing = False
        self._quiet_statuses: int | None = None
        """Regular statuses since the last part of the reply; None before its first."""
        self._sends_status = False

    def hello(self) -> tuple[Frame, ...]:
        """Start the session: it lasts as long as the connection, mostly in silence."""
        return (encode(SessionStart()),)

    def _start(self) -> tuple[Frame, ...]:
        self._guard = SilenceGuard()
        self._reply = None
        self._processing = False
        self._quiet_statuses = None
        return ()

    def _sound(self, pcm: bytes) -> tuple[Frame, ...]:
        return slices(self._guard.add(pcm), PART_BYTES)

    def _end(self) -> tuple[Frame, ...]:
        self._reply = ReplyChunks()
        return slices(self._guard.rest() + SILENCE, PART_BYTES)

    def _pong(self, number: int) -> tuple[ear.FromBackend, ...]:
        messages = super()._pong(number)
        if self._sends_status or len(messages) > 1:
            return messages
        return (*messages, *self._regular())

    def _speech(self, frame: bytes) -> tuple[ear.FromBackend, ...]:
        pcm = check_pcm(frame)
        if self._reply is None:
            return ()
        self._quiet_statuses = 0
        return self._reply.add(pcm)

    def _text(self, frame: str) -> tuple[ear.FromBackend, ...]:
        message = decode_from_server(frame)
        match message:
            case SessionStatus():
                return self._status(message)
            case ear.Transcript():
                self._processing = True
                return (ear.Processing(), message)
            case ear.Answer():
                self._quiet_statuses = 0
                return (message,)
            case ear.ErrorMessage(text):
                self._processing = False
                return (ear.BackendError(text),)
            case _:
                assert_never(message)

    def _status(self, status: SessionStatus) -> tuple[ear.FromBackend, ...]:
        self._sends_status = True
        self.is_open |= status.state == "running"
        if status.turn == PROCESSING:
            self._processing = True
            return (ear.Processing(),)
        if status.turn == LISTENING:
            volume = ear.VolumeRequest.read(write_fields(status))
            ends = self._processing
            return self._done(follow_up=status.follow_up, volume=volume) if ends else ()
        return self._regular()

    def _regular(self) -> tuple[ear.FromBackend, ...]:
        """Process a status or pong without the state of the turn."""
        if self._quiet_statuses is None or self._reply is None:
            return ()
        self._quiet_statuses += 1
        return self._done() if self._quiet_statuses >= QUIET_STATUSES else self._reply.rest()

    def _done(
        self, *, follow_up: bool = False, volume: ear.VolumeRequest = ear.UNCHANGED
    ) -> tuple[ear.FromBackend, ...]:
        self._processing = False
        self._quiet_statuses = None
        return (self._reply or ReplyChunks()).finish(follow_up=follow_up, volume=volume)


MAX_BODY_BYTES: Final = 64 * 1024
"""A session description takes some hundred bytes."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class SessionHandshake(Handshake):
    """Creates a session, and stops it at the end. One session, one link.

    A backend without such an API (it answers 404 or 405) gets a session id generated here.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session_id: str | None = None
        self._headers: Mapping[str, str] = {}

    async def find(self, session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return the endpoint; raise what ``Link.open`` may raise."""
        self._headers = bearer(token)
        async with session.post(
            self._url + API_PATH,
            json={"mode": "assistant"},
            headers=self._headers,
            allow_redirects=False,
        ) as response:
            self._session_id = await _session_id(response)
        return Endpoint(self._url + PATH.format(session_id=self._session_id), self._headers)

    async def leave(self, session: aiohttp.ClientSession) -> None:
        """Stop the session: the protocol requires that besides closing the socket."""
        if self._session_id is None:
            return
        stop = f"{self._url}{API_PATH}/{self._session_id}/stop"
        async with session.post(stop, headers=self._headers, allow_redirects=False):
            pass


async def _session_id(response: aiohttp.ClientResponse) -> str:
    match response.status:
        case HTTPStatus.OK | HTTPStatus.CREATED:
            return _read_id(await _body(response))
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return secrets.token_urlsafe(16)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            raise Rejected("the backend rejects the token")
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ConnectFailed(f"no session: status {status}")
    raise RemoteProtocolError(f"no session: status {response.status}; expected 201")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for part in response.content.iter_chunked(4096):
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise RemoteProtocolError(f"a session description of over {MAX_BODY_BYTES} bytes")
    return body


def _read_id(body: bytes) -> str:
    session_id = read_object(body.decode(errors="replace")).get("id")
    if not isinstance(session_id, str) or not _ID.fullmatch(session_id):
        raise RemoteProtocolError("a session without an id that is valid in a path")
    return session_id
