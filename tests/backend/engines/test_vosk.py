"""vosk in a version that the test wrote: its model, its partial words, and its failures."""

import json
import sys
from contextlib import aclosing
from types import SimpleNamespace

import numpy as np
import pytest

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines.vosk import SLICE, VoskSpeechToText
from jarvis_backend.errors import EngineError, EngineMissing

SECOND = np.ones(16_000, np.int16)


class Recognizer:
    """Hears a word in each slice, and the end of a sentence after every third one."""

    def __init__(self, model, rate):
        assert (model, rate) == ("model", 16_000)
        self.words = []

    def AcceptWaveform(self, sound):  # noqa: N802 - the library's name
        assert isinstance(sound, bytes)
        self.words.append(f"w{len(sound) // 2}")
        return len(self.words) == 3

    def Result(self):  # noqa: N802 - likewise
        said, self.words = self.words, []
        return json.dumps({"text": " ".join(said)})

    FinalResult = Result

    def PartialResult(self):  # noqa: N802 - likewise
        return json.dumps({"partial": " ".join(self.words)})


def load(folder):
    if folder.endswith("broken"):
        raise Exception("Failed to create a model")  # noqa: TRY002 - as the library does
    return "model"


@pytest.fixture
def make(monkeypatch, tmp_path):
    """Make an engine with one of two models."""
    package = SimpleNamespace(SetLogLevel=int, Model=load, KaldiRecognizer=Recognizer)
    monkeypatch.setitem(sys.modules, "vosk", package)
    for name in ("small", "broken"):
        (tmp_path / name / "conf").mkdir(parents=True)
    return lambda model="small", **options: VoskSpeechToText(
        SpeechToTextOptions(engine="vosk", model=model, **options), tmp_path
    )


@pytest.mark.usefixtures("leaves_no_thread")
async def test_an_utterance_is_decoded_in_slices(make):
    async with aclosing(make()) as engine:
        await engine.prepare()
        assert await engine.transcribe(np.tile(SECOND, 2)) == " ".join([f"w{SLICE}"] * 4)
        assert await engine.transcribe(SECOND[:0]) == ""


async def test_words_are_known_while_they_are_spoken(make):
    async with aclosing(make(listeners=1)) as engine:
        listening = engine.listen()
        assert await listening.feed(SECOND[:0]) == ""
        assert await listening.feed(SECOND[:100]) == "w100"
        assert await listening.feed(SECOND[:50]) == "w100 w50"
        with pytest.raises(EngineError, match="already listens to as many people as it can"):
            engine.listen()
        assert engine.refused == 1
        await listening.aclose()
        assert await engine.listen().feed(SECOND[:70]) == "w70"


@pytest.mark.parametrize("model", ["", "nowhere", "/nowhere/small"])
def test_without_its_model_it_says_what_it_expects(make, model):
    with pytest.raises(EngineMissing, match=f"stt.model is '{model}', expected the folder of a"):
        make(model)


async def test_failures_are_errors(make, monkeypatch):
    async with aclosing(make("broken")) as engine:
        with pytest.raises(EngineMissing, match=r"^vosk cannot load /.*broken: Failed to create"):
            await engine.prepare()
    monkeypatch.setattr(Recognizer, "FinalResult", lambda _self: "[]")
    async with aclosing(make()) as engine:
        with pytest.raises(EngineError, match=r"^vosk answered '\[\]', expected 'text' in JSON$"):
            await engine.transcribe(SECOND)
    monkeypatch.setitem(sys.modules, "vosk", None)
    with pytest.raises(EngineMissing, match="pip install vosk"):
        make()
