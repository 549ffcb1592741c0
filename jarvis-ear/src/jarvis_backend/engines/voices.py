"""Text-to-speech within this process: piper and the espeak-ng library."""

import ctypes
import importlib
import io
import threading
import wave
from pathlib import Path
from typing import Any, Final

from jarvis_backend.config import TextToSpeechOptions
from jarvis_backend.engines.engine import Speech, StatelessEngine
from jarvis_backend.engines.worker import EngineThread
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_backend.models import DEFAULT_VOICE, piper_voice
from jarvis_backend.text import one_line
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES


class PiperVoice:
    """Text-to-speech by piper. Lives on the loop; the model lives on a worker thread."""

    name = "piper"

    def __init__(self, options: TextToSpeechOptions, models: Path) -> None:
        """Use the voice of ``options``; one given by name is a folder in ``models``."""
        try:
            self._package: Any = importlib.import_module("piper")
        except ImportError:
            raise EngineMissing(
                "the Python package piper-tts is not installed (pip install 'jarvis-ear[piper]')"
            ) from None
        self._path = piper_voice(options.model or DEFAULT_VOICE, models)
        self._worker = EngineThread(self.name, options.timeout_s)
        self._voice: Any = None

    async def prepare(self) -> None:
        """Load the voice."""
        await self._worker.run(lambda _stop: self._load())

    async def speak(self, sentence: str) -> Speech:
        """Synthesise on the worker thread."""
        return await self._worker.run(lambda _stop: self._speak(sentence))

    async def aclose(self) -> None:
        """End the thread."""
        self._worker.close()

    def _load(self) -> None:
        if self._voice is not None:
            return
        try:
            self._voice = self._package.PiperVoice.load(str(self._path))
        except Exception as error:
            # Many kinds: those of onnxruntime, and KeyError for a field that a voice must have.
            why = one_line(str(error)) or type(error).__name__
            raise EngineMissing(f"piper cannot load {self._path}: {why}") from error

    def _speak(self, sentence: str) -> Speech:
        self._load()
        file = io.BytesIO()
        try:
            with wave.open(file, "wb") as wav:
                self._voice.synthesize_wav(sentence, wav)
        except (OSError, RuntimeError, ValueError, wave.Error) as error:
            raise EngineError(f"piper: {one_line(str(error))}") from error
        return Speech("audio/wav", file.getvalue())


# Constants and signatures of the library's header, speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
_DONT_EXIT: Final = 0x8000  # espeakINITIALIZE_DONT_EXIT
_CHARS_UTF8: Final = 1
_EE_OK: Final = 0
_CONTINUE: Final = 0
_ABORT: Final = 1

SPEECH_SECONDS: Final = 120
"""Maximum length of the speech of one sentence."""

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class EspeakLibraryVoice(StatelessEngine):
    """Text-to-speech by the library. Lives on the loop; the library lives on a worker thread.

    The library has one global state: it supports neither two threads nor two owners in a process.
    """

    name = "espeak-library"

    def __init__(self, options: TextToSpeechOptions) -> None:
        try:
            self._loader: Any = importlib.import_module("espeakng_loader")
        except ImportError:
            raise EngineMissing(
                "the Python package espeakng-loader is not installed (pip install espeakng-loader)"
            ) from None
        self._voice = options.voice or "en-us"
        self._worker = EngineThread("espeak", options.timeout_s)
        self._library: _Library | None = None

    async def speak(self, sentence: str) -> Speech:
        """Synthesise on the worker thread."""
        return await self._worker.run(lambda stop: self._speak(sentence, stop))

    async def aclose(self) -> None:
        """Stop the current sentence, and end the thread."""
        self._worker.close()

    def _speak(self, sentence: str, stop: threading.Event) -> Speech:
        if self._library is None:
            self._library = _Library(self._loader, self._voice)
        return Speech("audio/wav", self._library.speak(sentence, stop))


class _Library:
    """The C library, initialised. Belongs to the worker thread."""

    def __init__(self, loader: Any, voice: str) -> None:  # noqa: ANN401 - the package has no types
        self._c = ctypes.CDLL(loader.get_library_path())
        data = str(loader.get_data_path()).encode()
        self._rate = self._c.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 100, data, _DONT_EXIT)
        if self._rate <= 0:
            raise EngineError("the espeak-ng library did not find its data")
        if self._c.espeak_SetVoiceByName(voice.encode()) != _EE_OK:
            raise EngineError(f"espeak-ng has no voice {voice!r}")

    def speak(self, sentence: str, stop: threading.Event) -> bytes:
        """Return ``sentence`` as a WAV file."""
        pcm = bytearray()
        max_bytes = SPEECH_SECONDS * self._rate * SAMPLE_BYTES

        def take(samples: Any, count: int, _events: int) -> int:  # noqa: ANN401 - a C pointer
            if samples and count > 0:
                pcm.extend(ctypes.string_at(samples, count * SAMPLE_BYTES))
            return _ABORT if stop.is_set() or len(pcm) > max_bytes else _CONTINUE

        callback = _Callback(take)  # referenced until the end: the library only has its address
        self._c.espeak_SetSynthCallback(callback)
        text = sentence.encode()
        status = self._c.espeak_Synth(
            text, ctypes.c_size_t(len(text) + 1), 0, 0, 0, _CHARS_UTF8, None, None
        )
        if status != _EE_OK or not pcm:
            raise EngineError(f"espeak-ng made no sound (status {status})")
        return pcm_to_wav(bytes(pcm), self._rate)
