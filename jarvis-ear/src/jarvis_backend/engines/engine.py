"""The two seams between a conversation and what understands and speaks for it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from jarvis_backend.errors import EngineMissing


@dataclass(frozen=True, slots=True)
class Speech:
    """One spoken sentence."""

    content_type: str
    """What kind of sound file it is, for example `audio/wav`."""
    audio: bytes
    """The complete file."""


class LiveTranscription(Protocol):
    """One utterance, understood while it is spoken. Lives on the loop; for one owner."""

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """Take the sound that follows; return all that was understood so far.

        Raises ``EngineError``.
        """
        ...

    async def aclose(self) -> None:
        """Forget the utterance."""
        ...


class SpeechToText(Protocol):
    """Understands. Lives on the loop; heavy work happens elsewhere."""

    name: str
    """What the log and the health report call it."""

    async def prepare(self) -> None:
        """Load what the first utterance would otherwise wait for."""
        ...

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Text of ``pcm`` (mono, 16 kHz); empty if nothing was said. Raises ``EngineError``."""
        ...

    def listen(self) -> LiveTranscription:
        """Begin with an utterance that is not complete yet. Raises ``EngineError``."""
        ...

    async def aclose(self) -> None:
        """Stop work that is under way, and give back what it holds."""
        ...


class TextToSpeech(Protocol):
    """Speaks. Lives on the loop; heavy work happens elsewhere. May be asked twice at once."""

    name: str
    """What the log and the health report call it."""

    async def speak(self, sentence: str) -> Speech:
        """Synthesise one sentence, or raise ``EngineError``."""
        ...

    async def aclose(self) -> None:
        """Stop work that is under way, and give back what it holds."""
        ...


class NoEar:
    """Stands where speech-to-text is missing: every utterance is told why."""

    name = "none"

    def __init__(self, reason: str) -> None:
        self.reason = reason

    async def prepare(self) -> None:
        """Nothing to load."""

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:  # noqa: ARG002 - the seam's
        """Say what is missing."""
        raise EngineMissing(f"STT service not available: {self.reason}")

    def listen(self) -> LiveTranscription:
        """Say what is missing."""
        raise EngineMissing(f"STT service not available: {self.reason}")

    async def aclose(self) -> None:
        """Nothing is held."""


class NoVoice:
    """Stands where text-to-speech is missing: replies stay text."""

    name = "none"

    def __init__(self, reason: str) -> None:
        self.reason = reason

    async def speak(self, sentence: str) -> Speech:  # noqa: ARG002 - the seam's
        """Say what is missing."""
        raise EngineMissing(f"TTS service not available: {self.reason}")

    async def aclose(self) -> None:
        """Nothing is held."""
