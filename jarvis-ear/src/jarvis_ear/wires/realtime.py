"""The realtime stream ``/ws/realtime``: codec, dialect and handshake."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias, assert_never

import aiohttp

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.units import FRAME_BYTES
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires.dialect import BackendDialect, Endpoint, Frame, Handshake, slices
from jarvis_ear.wires.json_fields import read_object, write_object
from jarvis_ear.wires.socketio import MAX_INDEX, media_type

PATH: Final = "/ws/realtime"
"""Path on our server, unless its owner changes it."""


class RealtimeState(StrEnum):
    """State of the server."""

    RECORDING = "recording"
    TRANSCRIBING = "transcribing"
    RESPONDING = "responding"
    IDLE = "idle"
    ERROR = "error"


class Code(StrEnum):
    """Cause of an error status."""

    EMPTY_STREAM = "empty_stream"
    """The end came before any sound."""
    INVALID_CONTROL = "invalid_control"
    """A text frame that is not the end."""
    INVALID_AUDIO = "invalid_audio"
    """A binary frame that is not a WAV slice."""
    TOO_LONG = "too_long"
    """More sound than an utterance may have."""
    NOT_UNDERSTOOD = "not_understood"
    """No words were recognised."""
    ENGINE_FAILED = "engine_failed"
    """Speech recognition or the answer failed."""


@dataclass(frozen=True, slots=True)
class RealtimeStatus:
    """Server: its current state."""

    state: RealtimeState
    code: Code | None = None
    """Of an error."""
    message: str = ""
    """Of an error, for people."""
    follow_up: bool = False
    """Of idle: whether the server asks the client to listen for what the person answers."""
    volume: ear.VolumeRequest = ear.UNCHANGED
    """Of idle."""


@dataclass(frozen=True, slots=True)
class RealtimeTranscript:
    """Server: a partial or final transcript."""

    text: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class Response:
    """Server: the text of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Audio:
    """Server: the next binary frame is speech."""

    format: str
    """Media type."""
    size: int
    """Number of bytes."""


ToClient: TypeAlias = RealtimeStatus | RealtimeTranscript | Response | Audio


def encode_end() -> str:
    """Return the text frame that ends an utterance."""
    return write_object({"event": "end"})


def check_end(text: str) -> None:
    """Return if the client's frame ``text`` ends the utterance, else raise RemoteProtocolError."""
    if read_object(text).get("event") != "end":
        raise RemoteProtocolError('an unknown control message; expected {"event": "end"}')


def encode(message: ToClient, now_s: float) -> str:
    """Return the text frame for ``message``; ``now_s`` counts from 1970."""
    kind, payload = _parts(message)
    timestamp = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds")
    return write_object({"type": kind, "payload": payload, "timestamp": timestamp})


def decode(text: str) -> ToClient:
    """Return the message of the server's frame ``text``."""
    match read_object(text):
        case {"type": "status", "payload": dict(payload)}:
            return _status(payload)
        case {"type": "transcript", "payload": {"text": str(said), "is_final": bool(is_final)}}:
            return RealtimeTranscript(said, is_final)
        case {"type": "response", "payload": {"text": str(said)}}:
            return Response(said)
        case {"type": "audio", "payload": {"format": str(form), "size": int(size)}}:
            return Audio(form, size)
    raise RemoteProtocolError("expected a status, transcript, response or audio with its payload")


def _parts(message: ToClient) -> tuple[str, dict[str, Any]]:
    match message:
        case RealtimeStatus(state, None, _, follow_up, volume):
            asks = {"followUp": True} if follow_up else {}
            return "status", {"state": state, **asks, **volume.fields()}
        case RealtimeStatus(state, code, text):
            return "status", {"state": state, "code": code, "message": text}
        case RealtimeTranscript(text, is_final):
            return "transcript", {"text": text, "is_final": is_final}
        case Response(text):
            return "response", {"text": text}
        case Audio(media_type, size):
            return "audio", {"format": media_type, "size": size}
        case _:
            assert_never(message)


def _status(payload: Mapping[str, Any]) -> RealtimeStatus:
    """Read a status. Rejecting an unknown code would hide a failure, so it counts as none."""
    state, code, text = payload.get("state"), payload.get("code"), payload.get("message", "")
    if state not in list(RealtimeState):
        raise RemoteProtocolError("a status of an unknown state")
    known = Code(code) if code in list(Code) else None
    text = text if isinstance(text, str) else ""
    follow_up, volume = payload.get("followUp") is True, ear.VolumeRequest.read(payload)
    return RealtimeStatus(RealtimeState(state), known, text, follow_up, volume)


SLICE_BYTES: Final = 10 * FRAME_BYTES
"""200 ms: the longest slice that the owner of the wire specifies."""

_PHRASES: Final[Mapping[Code, str]] = {
    Code.EMPTY_STREAM: "No audio received",
    Code.NOT_UNDERSTOOD: "Could not understand audio",
}
"""Error texts of the causes that delivery knows."""


class RealtimeDialect(BackendDialect):
    """Translates for one connection; open once the backend has reported that it records."""

    def __init__(self) -> None:
        super().__init__()
        self._announced: Audio | None = None
        self._chunks = 0  # announced ones: one with invalid sound is missing, but counts

    def _sound(self, pcm: bytes) -> tuple[Frame, ...]:
        return tuple(pcm_to_wav(part) for part in slices(pcm, SLICE_BYTES))

    def _end(self) -> tuple[Frame, ...]:
        self._announced, self._chunks = None, 0
        return (encode_end(),)

    def _text(self, frame: str) -> tuple[ear.FromBackend, ...]:
        message = decode(frame)
        match message:
            case RealtimeStatus():
                return self._status(message)
            case RealtimeTranscript(text, True):
                return (ear.Transcript(text),)
            case RealtimeTranscript(text):
                return (ear.PartialTranscript(text),)
            case Response(text):
                return (ear.Answer(text),)
            case Audio():
                self._announced = message
                self._chunks += 1
                return ()
            case _:
                assert_never(message)

    def _status(self, status: RealtimeStatus) -> tuple[ear.FromBackend, ...]:
        match status.state:
            case RealtimeState.RECORDING:
                self.is_open = True
                return ()
            case RealtimeState.TRANSCRIBING | RealtimeState.RESPONDING:
                return (ear.Processing(),)
            case RealtimeState.IDLE:
                chunks, self._chunks = self._chunks, 0
                total = min(chunks, MAX_INDEX + 1)
                return (ear.TtsDone(total, status.follow_up, status.volume),)
            case RealtimeState.ERROR:
                self._chunks = 0
                known = _PHRASES.get(status.code) if status.code is not None else None
                return (ear.BackendError(known or status.message or "error"),)
            case _:
                assert_never(status.state)

    def _speech(self, frame: bytes) -> tuple[ear.FromBackend, ...]:
        announced, self._announced = self._announced, None
        if announced is None:
            raise RemoteProtocolError("sound that was not announced; expected an audio event first")
        if announced.size != len(frame):
            raise RemoteProtocolError(f"{len(frame)} bytes of sound; expected {announced.size}")
        index = self._chunks - 1
        if index > MAX_INDEX:
            raise RemoteProtocolError(f"chunk {index}; expected at most {MAX_INDEX}")
        kind = announced.format if "/" in announced.format else f"audio/{announced.format}"
        return (ear.TtsChunk(index, media_type(kind), frame),)


_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""Characters of a subprotocol (RFC 6455, 4.1, after RFC 2616, 2.2)."""


class RealtimeHandshake(Handshake):
    """Opens the WebSocket with the token as subprotocol, which the backend echoes."""

    def __init__(self, url: str, path: str = "") -> None:
        self._address = url + (path or PATH)

    async def find(self, _session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return the endpoint, or raise ``RemoteProtocolError``."""
        if token is not None and not _TOKEN.fullmatch(token):
            raise RemoteProtocolError("the backend's token cannot be a subprotocol")
        return Endpoint(self._address, subprotocol=token)
