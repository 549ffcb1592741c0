"""The realtime stream: WAV slices up while a person speaks, partial transcripts and speech down.

Pure: the time is an argument. Foreign input raises ``RemoteProtocolError`` and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wire.json_fields import read_object, write_object

PATH: Final = "/ws/realtime"
"""Where our server has it, unless its owner moves it."""


class State(StrEnum):
    """What the server does."""

    RECORDING = "recording"
    TRANSCRIBING = "transcribing"
    RESPONDING = "responding"
    IDLE = "idle"
    ERROR = "error"


class Code(StrEnum):
    """Why a status is an error."""

    EMPTY_STREAM = "empty_stream"
    """The end came before any sound."""
    INVALID_CONTROL = "invalid_control"
    """A text frame that is not the end."""
    INVALID_AUDIO = "invalid_audio"
    """A binary frame that is no WAV slice."""
    TOO_LONG = "too_long"
    """More sound than an utterance may have."""
    NOT_UNDERSTOOD = "not_understood"
    """There were no words in it."""
    ENGINE_FAILED = "engine_failed"
    """What understands or answers did not."""


@dataclass(frozen=True, slots=True)
class Status:
    """Server: what it does now."""

    state: State
    code: Code | None = None
    """Of an error."""
    message: str = ""
    """Of an error, for people."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Server: what it understood so far, or at last."""

    text: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class Response:
    """Server: the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Audio:
    """Server: the next binary frame is speech."""

    format: str
    """Its media type."""
    size: int
    """Its bytes."""


ToClient: TypeAlias = Status | Transcript | Response | Audio


def encode_end() -> str:
    """Return the text frame that closes an utterance."""
    return write_object({"event": "end"})


def check_end(text: str) -> None:
    """Return if the client's frame ``text`` closes the utterance."""
    if read_object(text).get("event") != "end":
        raise RemoteProtocolError('an unknown control message; expected {"event": "end"}')


def encode(message: ToClient, now_s: float) -> str:
    """Return the text frame that says ``message``; ``now_s`` counts from 1970."""
    kind, payload = _parts(message)
    timestamp = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds")
    return write_object({"type": kind, "payload": payload, "timestamp": timestamp})


def decode(text: str) -> ToClient:
    """Return what the server's frame ``text`` says."""
    match read_object(text):
        case {"type": "status", "payload": dict(payload)}:
            return _status(payload)
        case {"type": "transcript", "payload": {"text": str(said), "is_final": bool(is_final)}}:
            return Transcript(said, is_final)
        case {"type": "response", "payload": {"text": str(said)}}:
            return Response(said)
        case {"type": "audio", "payload": {"format": str(form), "size": int(size)}}:
            return Audio(form, size)
    raise RemoteProtocolError("expected a status, transcript, response or audio with its payload")


def _parts(message: ToClient) -> tuple[str, dict[str, Any]]:
    match message:
        case Status(state, None, _):
            return "status", {"state": state.value}
        case Status(state, code, text):
            return "status", {"state": state.value, "code": code, "message": text}
        case Transcript(text, is_final):
            return "transcript", {"text": text, "is_final": is_final}
        case Response(text):
            return "response", {"text": text}
    return "audio", {"format": message.format, "size": message.size}


def _status(payload: Mapping[str, Any]) -> Status:
    message = payload.get("message", "")
    try:
        state = State(payload.get("state", ""))
    except ValueError:
        raise RemoteProtocolError("a status of an unknown state") from None
    return Status(state, _code(payload), message if isinstance(message, str) else "")


def _code(payload: Mapping[str, Any]) -> Code | None:
    """Return the code, or None: to refuse a failure that we do not know would hide it."""
    try:
        return Code(str(payload.get("code")))
    except ValueError:
        return None
