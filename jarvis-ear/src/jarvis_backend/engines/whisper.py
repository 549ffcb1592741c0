"""Speech-to-text by faster-whisper, with a model that is already on this machine."""

import asyncio
import importlib
import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines.engine import LiveTranscription
from jarvis_backend.engines.redecoding import Redecoding
from jarvis_backend.engines.worker import EngineThread
from jarvis_backend.errors import EngineError, EngineMissing

FULL_SCALE: Final = 32_768.0
"""Divisor that scales PCM16 to -1 to 1."""


class WhisperSpeechToText:
    """Speech-to-text by faster-whisper. Lives on the loop; the model lives on a worker thread."""

    name = "faster-whisper"

    def __init__(self, options: SpeechToTextOptions) -> None:
        try:
            self._package: Any = importlib.import_module("faster_whisper")
        except ImportError:
            raise EngineMissing(
                "the Python package faster-whisper is not installed (pip install faster-whisper)"
            ) from None
        self._model_name = options.model or "base.en"
        self._language = options.language
        self._worker = EngineThread("whisper", options.timeout_s)
        self._model: Any = None
        self._redecoding = asyncio.Lock()

    async def prepare(self) -> None:
        """Load the model."""
        await self._worker.run(lambda _stop: self._load())

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Transcribe on the worker thread."""
        return await self._worker.run(lambda stop: self._transcribe(pcm, stop))

    def listen(self) -> LiveTranscription:
        """Transcribe the utterance repeatedly while it grows."""
        return Redecoding(self.transcribe, self._redecoding)

    async def aclose(self) -> None:
        """Stop after the current segment, and end the thread."""
        self._worker.close()

    def _load(self) -> None:
        if self._model is not None:
            return
        try:
            # local_files_only: a backend that hears a room must not connect to the internet.
            self._model = self._package.WhisperModel(self._model_name, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise EngineMissing(
                f"the faster-whisper model {self._model_name!r} is not on this machine ({error})"
            ) from error

    def _transcribe(self, pcm: npt.NDArray[np.int16], stop: threading.Event) -> str:
        self._load()
        sound = pcm.astype(np.float32) / FULL_SCALE
        try:
            segments, _ = self._model.transcribe(sound, language=self._language)
            texts = []
            for segment in segments:  # each step decodes one segment
                if stop.is_set():
                    break
                texts.append(str(segment.text).strip())
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"faster-whisper: {error}") from error
        return " ".join(texts)
