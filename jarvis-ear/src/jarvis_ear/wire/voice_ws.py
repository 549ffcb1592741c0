"""The voice channel ``/ws/voice``: JSON with a ``type`` as text, PCM16 at 16 kHz as binary frames.

Pure: a text frame becomes a message, a message becomes a text frame. Foreign input raises
``RemoteProtocolError`` and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from jarvis_ear.wire.vocabulary import Vocabulary

PATH: Final = "/ws/voice"


@dataclass(frozen=True, slots=True)
class Ping:
    """Client: a question whether the server is there."""


@dataclass(frozen=True, slots=True)
class Start:
    """Client: an utterance follows. What was collected so far is thrown away."""


@dataclass(frozen=True, slots=True)
class End:
    """Client: the utterance is complete."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Client: be silent."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Server: the answer that it is."""


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """Server: a binary frame has arrived."""

    bytes: int = 0
    """How long that frame was; 0 if the server does not say."""


@dataclass(frozen=True, slots=True)
class Processing:
    """Server: the utterance is mine, I work on it."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Server: this is what I understood."""

    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Server: this is the answer; its speech follows in binary frames."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Server: no binary frame of that answer follows. Throw away what you have not played."""


@dataclass(frozen=True, slots=True)
class Done:
    """Server: the answer is complete."""


@dataclass(frozen=True, slots=True)
class Error:
    """Server: this message, or this turn, could not be used."""

    message: str


ToServer: TypeAlias = Ping | Start | End | Interrupt
ToClient: TypeAlias = (
    Pong | AudioReceived | Processing | Transcript | Reply | Interrupted | Done | Error
)

TO_SERVER: Final[Mapping[str, type[ToServer]]] = {
    "ping": Ping,
    "start": Start,
    "end": End,
    "interrupt": Interrupt,
}
"""What clients say, by its ``type``."""

TO_CLIENT: Final[Mapping[str, type[ToClient]]] = {
    "pong": Pong,
    "audio_received": AudioReceived,
    "processing": Processing,
    "transcript": Transcript,
    "reply": Reply,
    "interrupted": Interrupted,
    "done": Done,
    "error": Error,
}
"""What the server says, by its ``type``."""

_FROM_CLIENT: Final = Vocabulary[ToServer](TO_SERVER)
_FROM_SERVER: Final = Vocabulary[ToClient](TO_CLIENT)


def encode(message: ToServer | ToClient) -> str:
    """Text frame that says ``message``."""
    if isinstance(message, ToServer):
        return _FROM_CLIENT.encode(message)
    return _FROM_SERVER.encode(message)


def decode_from_client(text: str) -> ToServer:
    """Return what the client's frame ``text`` says."""
    return _FROM_CLIENT.decode(text)


def decode_from_server(text: str) -> ToClient:
    """Return what the server's frame ``text`` says."""
    return _FROM_SERVER.decode(text)
