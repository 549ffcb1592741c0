"""faster-whisper, which is not installed with the backend."""

import sys
from contextlib import aclosing
from types import SimpleNamespace

import numpy as np
import pytest

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines.whisper import WhisperSpeechToText
from jarvis_backend.errors import EngineError, EngineMissing


class WhisperModel:
    """Yields two segments, and checks what it is given."""

    def __init__(self, name, *, local_files_only):
        if name == "absent":
            raise OSError("not in the cache")
        assert local_files_only, "it would be downloaded"

    def transcribe(self, sound, language):
        assert sound.dtype == np.float32
        assert sound.min() == -1.0
        if language == "xx":
            raise ValueError("'xx' is not a valid language")
        return (SimpleNamespace(text=text) for text in (" What time", " is it?")), None


@pytest.fixture
def transcribe(monkeypatch):
    """Prepare the engine, and transcribe a second of sound."""
    package = SimpleNamespace(WhisperModel=WhisperModel)
    monkeypatch.setitem(sys.modules, "faster_whisper", package)

    async def work(**options):
        async with aclosing(WhisperSpeechToText(SpeechToTextOptions(**options))) as engine:
            await engine.prepare()
            return await engine.transcribe(np.full(16_000, -32_768, np.int16))

    return work


async def test_whisper_joins_its_segments(transcribe):
    assert await transcribe() == "What time is it?"


async def test_a_missing_model_is_not_downloaded(transcribe):
    with pytest.raises(EngineMissing, match="'absent' is not on this machine"):
        await transcribe(model="absent")


async def test_a_failure_of_whisper_is_an_error(transcribe):
    with pytest.raises(EngineError, match=r"^faster-whisper: 'xx' is not a valid language$"):
        await transcribe(language="xx")
