"""What ear and backend say to each other about an utterance, on any wire, as values.

``AudioChunk`` is for wires that take an utterance whole, ``AudioPart`` for those that stream.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class AudioStart:
    """Ear: an utterance follows. One that is still open under this name is thrown away."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Ear: a part of the sound file. The backend joins the bytes of all parts."""

    agent_id: str
    audio: bytes
    """One complete WAV file, because an utterance goes up in one chunk."""
    seq: int
    """Counts the chunks of an utterance from 0."""


@dataclass(frozen=True, slots=True)
class AudioPart:
    """Ear: a stretch of the utterance, which may still be going on."""

    agent_id: str
    offset: int
    """Where it begins in the utterance, in bytes. Parts follow each other without a gap."""
    pcm: bytes
    """PCM16 at 16 kHz, one channel."""


@dataclass(frozen=True, slots=True)
class AudioEnd:
    """Ear: the utterance is complete. From here on the backend may run it."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Ear: a question whether the backend is there."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class Pong:
    """Backend: the answer that it is."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Backend: ready. Said on connect, after a start, and when a turn is over."""

    agent_id: str | None = None
    """The name of the ear when it answers a start, else None."""


@dataclass(frozen=True, slots=True)
class Processing:
    """Backend: the utterance is mine, I work on it."""


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """Backend: this is what I have understood so far. Proves nothing, and may change."""

    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """Backend: this is what I understood."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """Backend: the brain has been asked."""

    provider: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Backend: this is the reply, in letters."""

    text: str


@dataclass(frozen=True, slots=True)
class TtsChunk:
    """Backend: one sentence of the spoken reply."""

    index: int
    """Its place in the reply, 0 to 511. Sentences arrive in any order, and some never."""
    content_type: str
    audio: bytes
    """An encoded sound file."""


@dataclass(frozen=True, slots=True)
class TtsDone:
    """Backend: every sentence that will ever come has been sent."""

    total_chunks: int
    """How many sentences were tried: not how many arrived."""


@dataclass(frozen=True, slots=True)
class BackendError:
    """Backend: this turn has failed."""

    text: str
    """Its own words, with control characters removed. For a log at DEBUG, never spoken."""


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
