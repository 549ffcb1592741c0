"""Speech-to-text by faster-whisper, on this machine. The model has to be there already."""

import importlib
import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.engines.engine import LiveTranscription
from jarvis_backend.engines.redecoding import Redecoder
from jarvis_backend.engines.worker import EngineThread
from jarvis_backend.errors import EngineError, EngineMissing

FULL_SCALE: Final = 32_768.0
"""What the loudest PCM16 sample is divided by to become 1."""


class WhisperSpeechToText:
    """Understands by faster-whisper. Lives on the loop; the model lives on one worker thread."""

    name = "faster-whisper"

    def __init__(self, model: str, language: str, timeout_s: float) -> None:
        try:
            self._package: Any = importlib.import_module("faster_whisper")
        except ImportError:
            raise EngineMissing(
                "the Python package faster-whisper is not installed (pip install faster-whisper)"
            ) from None
        self._wanted = model or "base.en"
        self._language = language
        self._worker = EngineThread("whisper", timeout_s)
        self._model: Any = None
        self._redecoder = Redecoder(self.transcribe)

    async def prepare(self) -> None:
        """Load the model."""
        await self._worker.run(lambda _stop: self._load())

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Transcribe on the worker thread."""
        return await self._worker.run(lambda stop: self._transcribe(pcm, stop))

    def listen(self) -> LiveTranscription:
        """Transcribe the utterance again and again while it grows."""
        return self._redecoder.listen()

    async def aclose(self) -> None:
        """Stop after the segment under way, and end the thread."""
        self._worker.close()

    def _load(self) -> None:
        if self._model is not None:
            return
        try:
            # Nothing is downloaded: a backend that listens to a room does not phone home.
            self._model = self._package.WhisperModel(self._wanted, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise EngineMissing(
                f"the faster-whisper model {self._wanted!r} is not on this machine ({error})"
            ) from error

    def _transcribe(self, pcm: npt.NDArray[np.int16], stop: threading.Event) -> str:
        self._load()
        sound = pcm.astype(np.float32) / FULL_SCALE
        try:
            segments, _ = self._model.transcribe(sound, language=self._language)
            heard = []
            for segment in segments:  # the work is done here, segment by segment
                if stop.is_set():
                    break
                heard.append(str(segment.text).strip())
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"faster-whisper: {error}") from error
        return " ".join(heard)
