"""What the ear knows of a frame besides its sound."""

from dataclasses import dataclass
from typing import Protocol


class SpeechGate(Protocol):
    """A cheap listener: quick to say yes, and often wrong in noise."""

    def is_speech(self, pcm: bytes) -> bool:
        """Whether one frame (640 bytes of PCM16) may be speech."""


class SpeechModel(Protocol):
    """A listener that knows speech from noise, and costs accordingly. Streaming."""

    def reset(self) -> None:
        """Forget the sound so far."""

    def probability(self, pcm: bytes, gain: float) -> float:
        """Take in one frame (640 bytes of PCM16); how likely is it speech, 0 ... 1, so far.

        ``gain`` multiplies the samples first: such models are deaf to very quiet speech.
        """


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found about one frame while an utterance is awaited or open."""

    speech: bool
    """The cheap listener's word."""
    probability: float
    """The speech model's word, 0 ... 1."""
    level: float
    """Mean square of the samples (0 ... 2**30): compared, never shown, so it needs no logarithm."""
