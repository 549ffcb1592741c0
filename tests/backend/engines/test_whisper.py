"""faster-whisper in a version that the test wrote: its arguments, and its failures."""

import os
import sys
from contextlib import aclosing
from types import SimpleNamespace

import numpy as np
import pytest

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines.whisper import WhisperSpeechToText
from jarvis_backend.errors import EngineError, EngineMissing

FAILURES = {"xx": "'xx' is not a valid language", "jit": "could not create a primitive"}


class WhisperModel:
    """Yields two segments, and checks what it is given."""

    made = ()

    def __init__(self, folder, **options):
        WhisperModel.made = (folder, options)

    def transcribe(self, sound, *, language, **_options):
        assert sound.dtype == np.float32
        assert sound.min() in {-1.0, 0.0}
        if language in FAILURES:
            raise RuntimeError(FAILURES[language])
        return (SimpleNamespace(text=text) for text in (" What time", " is it?")), None


@pytest.fixture
def transcribe(monkeypatch, tmp_path):
    """Prepare the engine, and transcribe a second of sound."""
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))
    for name in ("tiny.en", "small.en"):
        (tmp_path / name).mkdir()
        for file in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
            (tmp_path / name / file).touch()

    async def work(gpus=0, **options):
        counted = SimpleNamespace(get_cuda_device_count=lambda: gpus)
        monkeypatch.setitem(sys.modules, "ctranslate2", counted)
        engine = WhisperSpeechToText(SpeechToTextOptions(**options), tmp_path)
        async with aclosing(engine):
            await engine.prepare()
            return await engine.transcribe(np.full(16_000, -32_768, np.int16))

    return work


async def test_whisper_joins_its_segments(transcribe, tmp_path):
    assert await transcribe() == "What time is it?"
    folder, options = WhisperModel.made
    assert folder == str(tmp_path / "tiny.en")
    assert options == {
        "device": "cpu",
        "compute_type": "int8",
        "cpu_threads": min(4, len(os.sched_getaffinity(0))),
        "local_files_only": True,
    }


async def test_a_gpu_is_used_where_there_is_one(transcribe):
    await transcribe(gpus=1, model="small.en", threads=1)
    options = WhisperModel.made[1]
    assert (options["device"], options["compute_type"]) == ("cuda", "float16")
    assert options["cpu_threads"] == 1
    await transcribe(gpus=1, device="cpu")
    assert WhisperModel.made[1]["device"] == "cpu"


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("base.en", "^the model base.en is not here: there is no /.*base.en, and no download"),
        ("/nowhere/tiny.en", "^the model /nowhere/tiny.en is not here: there is no /nowhere"),
    ],
)
async def test_a_missing_model_is_not_downloaded(transcribe, model, complaint):
    with pytest.raises(EngineMissing, match=complaint):
        await transcribe(model=model)


@pytest.mark.parametrize(
    ("language", "complaint"),
    [
        ("xx", r"^faster-whisper: 'xx' is not a valid language$"),
        ("jit", r"could not create a primitive; .* needs MemoryDenyWriteExecute=no$"),
    ],
)
async def test_a_failure_of_whisper_is_an_error(transcribe, language, complaint):
    with pytest.raises(EngineError, match=complaint):
        await transcribe(language=language)
