"""Ears for changing options, with the models going from one to the next."""

import pytest

from jarvis_ear.config import EndpointingOptions, HearingOptions, WakeOptions
from jarvis_ear.devices.models import EarFactory, shipped_model, wake_word
from jarvis_ear.errors import ConfigError


def test_the_models_are_loaded_once():
    ears = EarFactory()
    first = ears.make(HearingOptions())
    second = ears.make(HearingOptions(endpointing=EndpointingOptions(hangover_ms=300)))
    assert first is not second
    assert first._wake_model is second._wake_model
    assert first._speech_model is second._speech_model


def test_another_wake_word_is_another_model(tmp_path):
    ears, path = EarFactory(), tmp_path / "computer.onnx"
    path.write_bytes(shipped_model("hey_jarvis_v0.1.onnx").read_bytes())
    first = ears.make(HearingOptions())
    assert (
        ears.make(HearingOptions(wake=WakeOptions(model=path)))._wake_model is not first._wake_model
    )
    assert wake_word(HearingOptions(wake=WakeOptions(model=path))) == "computer"
    assert wake_word(HearingOptions()) == "Hey Jarvis"


def test_a_model_that_is_none_is_refused_and_forgotten(tmp_path):
    ears = EarFactory()
    first = ears.make(HearingOptions())
    with pytest.raises(ConfigError, match="not a model"):
        ears.make(HearingOptions(wake=WakeOptions(model=tmp_path / "none.onnx")))
    assert ears.make(HearingOptions())._wake_model is first._wake_model
