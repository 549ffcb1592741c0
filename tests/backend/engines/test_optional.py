"""Engines that are not installed with us: what they say, and how they are driven."""

import asyncio
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from jarvis_backend.config import SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.engines.voices import PiperVoice
from jarvis_backend.engines.whisper import WhisperSpeechToText
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_ear.audio.wav import decode_wav

PCM = np.full(16_000, -32_768, np.int16)


@pytest.fixture
def package(monkeypatch):
    """Stand a module in for a package; None is one that is not installed."""
    return lambda name, module: monkeypatch.setitem(sys.modules, name, module)


def used(engine, work):
    async def use():
        try:
            return await work(engine)
        finally:
            await engine.aclose()

    return asyncio.run(use())


class WhisperModel:
    """Yields what it was told to, and checks what it is given."""

    segments = (" What time", " is it?")

    def __init__(self, name, *, local_files_only):
        if name == "absent":
            raise OSError("not in the cache")
        assert local_files_only, "it would be downloaded"

    def transcribe(self, sound, language):
        assert sound.dtype == np.float32
        assert sound.min() == -1.0
        if language == "xx":
            raise ValueError("'xx' is not a valid language")
        return (SimpleNamespace(text=text) for text in self.segments), None


def test_whisper_that_is_not_installed_says_what_to_install(package):
    package("faster_whisper", None)
    with pytest.raises(EngineMissing, match=r"pip install faster-whisper"):
        WhisperSpeechToText(SpeechToTextOptions())


def test_whisper_joins_its_segments(package):
    package("faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))

    async def work(engine):
        await engine.prepare()
        return await engine.transcribe(PCM)

    assert used(WhisperSpeechToText(SpeechToTextOptions()), work) == "What time is it?"


def test_a_whisper_model_that_is_not_here_is_not_downloaded(package):
    package("faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))
    with pytest.raises(EngineMissing, match="'absent' is not on this machine"):
        used(
            WhisperSpeechToText(SpeechToTextOptions(model="absent")),
            lambda engine: engine.prepare(),
        )


def test_whisper_that_fails_is_told(package):
    package("faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))
    with pytest.raises(EngineError, match=r"^faster-whisper: 'xx' is not a valid language$"):
        used(
            WhisperSpeechToText(SpeechToTextOptions(language="xx")),
            lambda engine: engine.transcribe(PCM),
        )


class Piper:
    """Writes ten samples."""

    @classmethod
    def load(cls, path):
        if path.endswith("broken.onnx"):
            raise RuntimeError("no voice")
        return cls()

    def synthesize_wav(self, _sentence, wav):
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(22_050)
        wav.writeframes(bytes(20))


def test_piper_that_is_not_installed_says_what_to_install(package):
    package("piper", None)
    with pytest.raises(EngineMissing, match=r"pip install piper-tts"):
        PiperVoice(TextToSpeechOptions(model="voice.onnx"))


def test_piper_needs_a_voice_file(package):
    package("piper", SimpleNamespace(PiperVoice=Piper))
    with pytest.raises(EngineMissing, match="expected the path of a piper voice"):
        PiperVoice(TextToSpeechOptions(model="nowhere.onnx"))


def test_piper_makes_a_wav(package, tmp_path):
    package("piper", SimpleNamespace(PiperVoice=Piper))
    (tmp_path / "voice.onnx").touch()
    engine = PiperVoice(TextToSpeechOptions(model=str(tmp_path / "voice.onnx")))
    speech = used(engine, lambda engine: engine.speak("x"))
    assert speech.content_type == "audio/wav"
    sound = decode_wav(speech.audio, max_seconds=1)
    assert (sound.rate, len(sound.pcm)) == (22_050, 10)


def test_piper_that_fails_is_told(package, tmp_path):
    package("piper", SimpleNamespace(PiperVoice=Piper))
    (tmp_path / "broken.onnx").touch()
    engine = PiperVoice(TextToSpeechOptions(model=str(tmp_path / "broken.onnx")))
    with pytest.raises(EngineError, match=r"^piper: no voice$"):
        used(engine, lambda engine: engine.speak("x"))
