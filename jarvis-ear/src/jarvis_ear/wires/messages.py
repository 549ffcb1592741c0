"""Messages between ear and backend about an utterance, on any wire, as values.

``AudioChunk`` is for wires that take whole utterances, ``AudioPart`` for those that stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

LOUDEST: Final = 100
"""Highest volume of replies in per cent."""


@dataclass(frozen=True, slots=True)
class AudioStart:
    """Ear: an utterance follows. An open one is discarded."""

    agent_id: str = ""
    """Agent that it is for; empty: the configured one."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Ear: the whole utterance."""

    audio: bytes
    """One complete WAV file."""
    agent_id: str = ""
    """Agent that it is for; empty: the configured one."""


@dataclass(frozen=True, slots=True)
class AudioPart:
    """Ear: a part of the utterance, which may still be in progress."""

    offset: int
    """Where it begins in the utterance, in bytes. Parts follow each other without a gap."""
    pcm: bytes
    """PCM16 at 16 kHz, one channel."""


@dataclass(frozen=True, slots=True)
class AudioEnd:
    """Ear: the utterance is complete. From here on the backend may run it."""

    agent_id: str = ""
    """Agent that it is for; empty: the configured one."""
    wake_word: str = ""
    """Wake word that it followed; empty: none."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Ear: a ping."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Backend: the answer to a ping."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Backend: ready. Sent on connect, after a start, and at the end of a turn."""

    agent_id: str | None = None
    """The name of the ear in the answer to a start, else None."""


@dataclass(frozen=True, slots=True)
class Processing:
    """Backend: the utterance has arrived and is being processed."""


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """Backend: the transcript so far. Proves nothing, and may change."""

    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """Backend: the transcript."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """Backend: ``provider`` has been asked for the reply."""

    provider: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Backend: the text of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class TtsChunk:
    """Backend: one chunk of the spoken reply."""

    index: int
    """Position in the reply, 0 to 511. Chunks arrive in any order, and some never."""
    content_type: str
    audio: bytes
    """An encoded sound file."""


@dataclass(frozen=True, slots=True)
class VolumeRequest:
    """What the backend asks of the volume of replies: nothing, or one of these."""

    percent: int | None = None
    """Volume to set, 0 to 100."""
    change: int | None = None
    """Points to add to the volume, -100 to 100."""
    problem: str = ""
    """Why the request is invalid."""

    @classmethod
    def read(cls, fields: Mapping[str, object]) -> Self:
        """Return the request in the fields of a message; one that is None is absent.

        Never raises: an invalid request must not lose the end of a reply.
        """
        volume, change = fields.get("volume"), fields.get("volumeChange")
        if volume is None and change is None:
            return cls()
        if volume is not None and change is not None:
            return cls(problem="both volume and volumeChange; expected one of them")
        name, value, least = "volume", volume, 0
        if volume is None:
            name, value, least = "volumeChange", change, -LOUDEST
        wanted = f"expected a whole number from {least} to {LOUDEST}"
        if not isinstance(value, int) or isinstance(value, bool):
            return cls(problem=f"{name} is {type(value).__name__}; {wanted}")
        if not least <= value <= LOUDEST:
            return cls(problem=f"{name} is out of range; {wanted}")
        return cls(percent=value) if volume is not None else cls(change=value)

    def fields(self) -> dict[str, int]:
        """Return the fields of a message that ``read`` reads."""
        fields = {"volume": self.percent, "volumeChange": self.change}
        return {name: value for name, value in fields.items() if value is not None}

    def applied_to(self, percent: int) -> int:
        """Return the volume after the request, 0 to 100, if it was ``percent`` before."""
        wanted = percent + (self.change or 0) if self.percent is None else self.percent
        return min(max(wanted, 0), LOUDEST)


UNCHANGED: Final = VolumeRequest()
"""The volume stays."""


@dataclass(frozen=True, slots=True)
class TtsDone:
    """Backend: no more chunks follow."""

    total_chunks: int | None
    """Number of chunks that the backend tried to make: some may be missing. None: not known."""
    follow_up: bool = False
    """Whether it asks the ear to listen for an answer, without the wake word."""
    volume: VolumeRequest = UNCHANGED


@dataclass(frozen=True, slots=True)
class BackendError:
    """Backend: this turn has failed."""

    text: str
    """The backend's text, without control characters. For a log at DEBUG, never spoken."""


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """Backend: this message, or this turn, could not be used. As WebSocket wires spell it."""

    message: str


ToBackend: TypeAlias = AudioStart | AudioChunk | AudioPart | AudioEnd | Ping
FromBackend: TypeAlias = (
    Listening
    | Processing
    | PartialTranscript
    | Transcript
    | Thinking
    | Answer
    | TtsChunk
    | TtsDone
    | BackendError
    | Pong
)
