"""Speech-to-text by faster-whisper, with a model that is already on this machine."""

import asyncio
import importlib
import os
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines.engine import LiveTranscription
from jarvis_backend.engines.redecoding import Redecoding
from jarvis_backend.engines.worker import EngineThread
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_backend.models import DEFAULT_WHISPER, whisper_model
from jarvis_backend.text import one_line
from jarvis_ear.units import samples

FULL_SCALE: Final = 32_768.0
"""Divisor that scales PCM16 to -1 to 1."""

BEAMS: Final = 5
"""Beams of the search. On 36 sentences, clean and at 10 dB, five got two more right than one, for
5 % more CPU."""


JIT_HINT: Final = "; it makes machine code: as a service it needs MemoryDenyWriteExecute=no"
"""What oneDNN's "could not create a primitive" means."""


class WhisperSpeechToText:
    """Speech-to-text by faster-whisper. Lives on the loop; the model lives on a worker thread.

    The model is loaded once and transcribes one utterance at a time, for all satellites.
    """

    name = "faster-whisper"

    def __init__(self, options: SpeechToTextOptions, models: Path) -> None:
        """Use the model of ``options``; one given by name is a folder in ``models``."""
        try:
            self._package: Any = importlib.import_module("faster_whisper")
        except ImportError:
            raise EngineMissing(
                "the Python package faster-whisper is not installed "
                "(pip install 'jarvis-ear[whisper]')"
            ) from None
        self._options = options
        self._folder = whisper_model(options.model or DEFAULT_WHISPER, models)
        self._worker = EngineThread(self.name, options.timeout_s)
        self._model: Any = None
        self._redecoding = asyncio.Lock()

    async def prepare(self) -> None:
        """Load the model and use it once: the first time takes longer, and shows what is wrong."""
        await self.transcribe(np.zeros(samples(100), np.int16))

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
        device = self._device()
        try:
            self._model = self._package.WhisperModel(
                str(self._folder),
                device=device,
                compute_type="int8" if device == "cpu" else "float16",
                cpu_threads=min(self._options.threads, len(os.sched_getaffinity(0))),
                local_files_only=True,  # a backend that hears a room asks nobody for files
            )
        except (OSError, ValueError, RuntimeError) as error:
            why = one_line(str(error))
            raise EngineMissing(f"faster-whisper cannot load {self._folder}: {why}") from error

    def _device(self) -> str:
        if self._options.device != "auto":
            return self._options.device
        return "cuda" if importlib.import_module("ctranslate2").get_cuda_device_count() else "cpu"

    def _transcribe(self, pcm: npt.NDArray[np.int16], stop: threading.Event) -> str:
        self._load()
        sound = pcm.astype(np.float32) / FULL_SCALE
        try:
            segments, _ = self._model.transcribe(
                sound,
                language=self._options.language,
                beam_size=BEAMS,
                temperature=0.0,  # one attempt: a repeated one takes as long again
                condition_on_previous_text=False,
                without_timestamps=True,
            )
            texts = []
            for segment in segments:  # each step decodes one segment
                if stop.is_set():
                    break
                texts.append(str(segment.text).strip())
        except (RuntimeError, ValueError) as error:
            hint = JIT_HINT if "primitive" in str(error) else ""
            raise EngineError(f"faster-whisper: {one_line(str(error))}{hint}") from error
        return " ".join(texts)
