"""Text-to-speech by piper, on this machine, with a voice file that its owner chose."""

import importlib
import io
import wave
from pathlib import Path
from typing import Any

from jarvis_backend.engines.engine import Speech
from jarvis_backend.engines.worker import Worker
from jarvis_backend.errors import EngineError, EngineMissing


class PiperVoice:
    """Speaks by piper. Lives on the loop; the voice lives on one worker thread."""

    name = "piper"

    def __init__(self, model: str, timeout_s: float) -> None:
        try:
            self._package: Any = importlib.import_module("piper")
        except ImportError:
            raise EngineMissing(
                "the Python package piper-tts is not installed (pip install piper-tts)"
            ) from None
        if not Path(model).is_file():
            raise EngineMissing(f"tts.model is {model!r}, expected the path of a piper voice")
        self._path = model
        self._worker = Worker("piper", timeout_s)
        self._voice: Any = None

    async def speak(self, sentence: str) -> Speech:
        """Synthesise on the worker thread."""
        return await self._worker.run(lambda _stop: self._speak(sentence))

    async def aclose(self) -> None:
        """End the thread."""
        self._worker.close()

    def _speak(self, sentence: str) -> Speech:
        try:
            if self._voice is None:
                self._voice = self._package.PiperVoice.load(self._path)
            file = io.BytesIO()
            with wave.open(file, "wb") as wav:
                self._voice.synthesize_wav(sentence, wav)
        except (OSError, RuntimeError, ValueError) as error:
            raise EngineError(f"piper: {error}") from error
        return Speech("audio/wav", file.getvalue())
