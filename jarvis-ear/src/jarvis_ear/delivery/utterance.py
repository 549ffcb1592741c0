"""Utterance: a stretch of speech, ready to go up."""

from dataclasses import dataclass
from enum import Enum

from jarvis_ear.audio.wav import HEADER_BYTES


class Past(Enum):
    """What an utterance has been through before the outbox got it."""

    NEW = "new"
    """Nothing: it cannot have run."""
    PERHAPS_RAN = "perhaps ran"
    """A former life of the ear committed it, and never heard what became of it."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the person said, as the file that the backend gets."""

    turn_id: str
    wav: bytes
    """One complete WAV file."""
    raw_bytes: int
    """How many bytes of PCM16 are in it."""
    ended_at: float
    """When its last spoken sample was captured, in seconds of the delivery's clock: its age counts
    from here."""
    past: Past = Past.NEW
    """Whether it may have run already."""

    @property
    def pcm(self) -> bytes:
        """Its sound, without the header of the file."""
        return self.wav[HEADER_BYTES:]
