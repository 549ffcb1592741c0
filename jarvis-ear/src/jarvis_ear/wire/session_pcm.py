"""The session stream ``/ws/sessions/{id}``: PCM16 at 16 kHz both ways, JSON as text frames.

Pure: a text frame becomes a message, a message becomes a text frame. Foreign input raises
``RemoteProtocolError`` and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wire.json_fields import write_object
from jarvis_ear.wire.vocabulary import Vocabulary

PATH: Final = "/ws/sessions/{session_id}"
API_PATH: Final = "/api/sessions"

MODES: Final = ("loopback", "assistant")
"""What comes back: what went up, or answers to it."""

LISTENING: Final = "listening"
PROCESSING: Final = "processing"


@dataclass(frozen=True, slots=True)
class Start:
    """Client: sound follows."""

    sample_rate: int = SAMPLE_RATE
    """Samples per second; no other rate is understood."""
    mode: str = ""
    """`loopback` or `assistant`; empty, and not said: as the session was made."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Client: this was all."""


@dataclass(frozen=True, slots=True)
class Status:
    """Server: how the session is."""

    state: str
    """`running` or `stopped`."""
    mode: str = ""
    """`loopback` or `assistant`."""
    received_bytes: int = 0
    """Sound that has come up since the session began."""
    sent_bytes: int = 0
    """Sound that has gone down."""
    turn: str = ""
    """What becomes of what was said: `listening`, or `processing` until the answer is over; empty
    in `loopback`, and from servers that do not say."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Server: this is what I understood."""

    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Server: this is the answer; its speech follows in binary frames."""

    text: str


@dataclass(frozen=True, slots=True)
class Error:
    """Server: this frame, or this turn, could not be used."""

    message: str


ToServer: TypeAlias = Start | Stop
ToClient: TypeAlias = Status | Transcript | Reply | Error

TO_SERVER: Final[Mapping[str, type[ToServer]]] = {"start": Start, "stop": Stop}
"""What clients say, by its ``type``."""

TO_CLIENT: Final[Mapping[str, type[ToClient]]] = {
    "status": Status,
    "transcript": Transcript,
    "reply": Reply,
    "error": Error,
}
"""What the server says, by its ``type``."""

_FROM_CLIENT: Final = Vocabulary[ToServer](TO_SERVER)
_FROM_SERVER: Final = Vocabulary[ToClient](TO_CLIENT)


def encode(message: ToServer | ToClient) -> str:
    """Text frame that says ``message``."""
    if isinstance(message, Start) and not message.mode:
        return write_object({"type": "start", "sampleRate": message.sample_rate})
    if isinstance(message, ToServer):
        return _FROM_CLIENT.encode(message)
    return _FROM_SERVER.encode(message)


def decode_from_client(text: str) -> ToServer:
    """Return what the client's frame ``text`` says."""
    message = _FROM_CLIENT.decode(text)
    if isinstance(message, Start) and message.sample_rate != SAMPLE_RATE:
        raise RemoteProtocolError(f"sampleRate {message.sample_rate}; expected {SAMPLE_RATE}")
    if isinstance(message, Start) and message.mode not in ("", *MODES):
        raise RemoteProtocolError(f"an unknown mode; expected one of {', '.join(MODES)}")
    return message


def decode_from_server(text: str) -> ToClient:
    """Return what the server's frame ``text`` says."""
    return _FROM_SERVER.decode(text)


def check_pcm(frame: bytes) -> bytes:
    """Return the binary ``frame`` if it can be PCM16."""
    if len(frame) % SAMPLE_BYTES:
        raise RemoteProtocolError(f"{len(frame)} bytes of sound; PCM16 needs an even count")
    return frame
