"""Speech-to-text by vosk, which decodes speech while it is spoken; its model is a folder."""

import asyncio
import importlib
import json
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines.engine import LiveTranscription
from jarvis_backend.engines.worker import EngineThread
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_backend.text import one_line
from jarvis_ear.units import SAMPLE_RATE, samples

SLICE: Final = samples(500)
"""Samples that are decoded at once, so that an utterance which is given up soon ends."""

QUIET: Final = -1
"""Level at which the library writes nothing to standard error."""


class VoskSpeechToText:
    """Speech-to-text by vosk. Lives on the loop; the model lives on a worker thread.

    The model is loaded once. Bound: ``stt.listeners`` people are heard live. Policy: one more is
    refused. Counter: ``refused``.
    """

    name = "vosk"

    def __init__(self, options: SpeechToTextOptions, models: Path) -> None:
        """Use the model of ``options``, a path or a folder in ``models``."""
        try:
            self._package: Any = importlib.import_module("vosk")
        except ImportError:
            raise EngineMissing(
                "the Python package vosk is not installed (pip install vosk)"
            ) from None
        self._folder = Path(models, options.model).expanduser() if options.model else None
        if self._folder is None or not (self._folder / "conf").is_dir():
            raise EngineMissing(
                f"stt.model is {options.model!r}, expected the folder of a vosk model, "
                f"or its name below {models}"
            )
        self._worker = EngineThread(self.name, options.timeout_s)
        self._model: Any = None
        self._free = options.listeners
        self.refused = 0

    async def prepare(self) -> None:
        """Load the model."""
        await self._worker.run(lambda _stop: self._load())

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Decode on the worker thread."""
        return await self._worker.run(lambda stop: self._transcribe(pcm, stop))

    def listen(self) -> LiveTranscription:
        """Begin to decode an utterance. Raises EngineError if too many are heard."""
        if not self._free:
            self.refused += 1
            raise EngineError(f"{self.name} already listens to as many people as it can")
        self._free -= 1
        return VoskListening(self)

    async def aclose(self) -> None:
        """Stop after the current slice, and end the thread."""
        self._worker.close()

    async def decode(self, recognizer: Any, pcm: npt.NDArray[np.int16]) -> tuple[Any, str]:  # noqa: ANN401 - the package has no types
        """Decode more of an utterance; return its recognizer, a new one for None, and the words."""
        return await self._worker.run(lambda _stop: self._decode(recognizer, pcm))

    def release(self) -> None:
        """Note that an utterance is not heard any more."""
        self._free += 1

    def _load(self) -> None:
        if self._model is None:
            self._package.SetLogLevel(QUIET)
            try:
                self._model = self._package.Model(str(self._folder))
            except Exception as error:  # the library raises the base class
                raise EngineMissing(
                    f"vosk cannot load {self._folder}: {one_line(str(error))}"
                ) from error

    def _new(self) -> Any:  # noqa: ANN401 - likewise
        self._load()
        return self._package.KaldiRecognizer(self._model, SAMPLE_RATE)

    def _transcribe(self, pcm: npt.NDArray[np.int16], stop: threading.Event) -> str:
        recognizer, said = self._new(), []
        for at in range(0, len(pcm), SLICE):
            if stop.is_set():
                break
            if recognizer.AcceptWaveform(pcm[at : at + SLICE].astype("<i2").tobytes()):
                said.append(_words(recognizer.Result(), "text"))
        return " ".join([*said, _words(recognizer.FinalResult(), "text")]).strip()

    def _decode(self, recognizer: Any, pcm: npt.NDArray[np.int16]) -> tuple[Any, str]:  # noqa: ANN401 - likewise
        recognizer = recognizer or self._new()
        if recognizer.AcceptWaveform(pcm.astype("<i2").tobytes()):
            return recognizer, _words(recognizer.Result(), "text")
        return recognizer, _words(recognizer.PartialResult(), "partial")


class VoskListening:
    """One utterance, decoded while it is spoken. Lives on the loop; for one owner."""

    def __init__(self, engine: VoskSpeechToText) -> None:
        self._engine = engine
        self._recognizer: Any = None
        self._said = ""

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """Decode the sound that follows; return the transcript so far. Raises EngineError."""
        if len(pcm):
            task = asyncio.ensure_future(self._engine.decode(self._recognizer, pcm))
            self._recognizer, self._said = await asyncio.shield(task)
        return self._said

    async def aclose(self) -> None:
        """Discard the utterance."""
        self._engine.release()


def _words(answer: str, key: str) -> str:
    """Return the words in a JSON answer of the library."""
    try:
        return str(json.loads(answer)[key])
    except (ValueError, KeyError, TypeError):
        raise EngineError(f"vosk answered {one_line(answer)!r}, expected {key!r} in JSON") from None
