"""The protocols of the engines that a conversation uses, and the stand-in for a missing one."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from jarvis_backend.errors import EngineMissing
from jarvis_backend.household.timers import Announcer


@dataclass(frozen=True, slots=True)
class Speech:
    """One synthesised sentence."""

    content_type: str
    """Media type of the file, for example `audio/wav`."""
    audio: bytes
    """The complete file."""


class LiveTranscription(Protocol):
    """Transcribes one utterance while it is spoken. Lives on the loop; for one owner."""

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """Take the sound that follows; return the transcript so far. Raises EngineError."""
        ...

    async def aclose(self) -> None:
        """Discard the utterance."""


class SpeechToText(Protocol):
    """Transcribes speech. Lives on the loop; heavy work happens in a thread or process."""

    name: str
    """Name in the log and in the health report."""

    async def prepare(self) -> None:
        """Load what the first utterance would otherwise wait for. Raises EngineError."""

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Return the text of ``pcm`` (mono, 16 kHz), empty for silence. Raises EngineError."""
        ...

    def listen(self) -> LiveTranscription:
        """Start to transcribe an unfinished utterance. Raises EngineError."""
        ...

    async def aclose(self) -> None:
        """Stop running work and release all resources."""


class TextToSpeech(Protocol):
    """Synthesises speech, several sentences at a time. Lives on the loop, like SpeechToText."""

    name: str
    """Name in the log and in the health report."""

    async def prepare(self) -> None:
        """Load what the first sentence would otherwise wait for. Raises EngineError."""

    async def speak(self, sentence: str) -> Speech:
        """Synthesise one sentence. Raises EngineError."""
        ...

    async def aclose(self) -> None:
        """Stop running work and release all resources."""


class StatelessEngine:
    """Base of engines that load nothing and hold no resources."""

    async def prepare(self) -> None:
        """Do nothing."""

    def start(self, announcer: Announcer) -> None:
        """Do nothing: a brain may speak unasked from now on, see ``Brain``."""

    async def aclose(self) -> None:
        """Do nothing."""


class MissingEngine(StatelessEngine):
    """Stands in for a missing speech-to-text or text-to-speech: each use raises EngineMissing."""

    name = "none"

    def __init__(self, reason: str) -> None:
        self.reason = reason

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:  # noqa: ARG002 - SpeechToText
        """Raise EngineMissing."""
        raise EngineMissing(f"STT service not available: {self.reason}")

    def listen(self) -> LiveTranscription:
        """Raise EngineMissing."""
        raise EngineMissing(f"STT service not available: {self.reason}")

    async def speak(self, sentence: str) -> Speech:  # noqa: ARG002 - TextToSpeech
        """Raise EngineMissing."""
        raise EngineMissing(f"TTS service not available: {self.reason}")
