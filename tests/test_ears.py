"""Ears for changing options, with the models going from one to the next."""

import pytest

from jarvis_ear.config import Endpointing, Hearing, Wake
from jarvis_ear.devices.onnx import shipped_model
from jarvis_ear.ears import Ears, wake_word
from jarvis_ear.errors import ConfigError


def test_the_models_are_loaded_once():
    ears = Ears()
    first = ears.make(Hearing())
    second = ears.make(Hearing(endpointing=Endpointing(hangover_ms=300)))
    assert first is not second
    assert first._wake is second._wake
    assert first._speech is second._speech


def test_another_wake_word_is_another_model(tmp_path):
    ears, path = Ears(), tmp_path / "computer.onnx"
    path.write_bytes(shipped_model("hey_jarvis_v0.1.onnx").read_bytes())
    first = ears.make(Hearing())
    assert ears.make(Hearing(wake=Wake(model=path)))._wake is not first._wake
    assert wake_word(Hearing(wake=Wake(model=path))) == "computer"
    assert wake_word(Hearing()) == "Hey Jarvis"


def test_an_ear_that_is_only_prepared_changes_no_model_of_later_ears(tmp_path):
    ears, path = Ears(), tmp_path / "computer.onnx"
    path.write_bytes(shipped_model("hey_jarvis_v0.1.onnx").read_bytes())
    first = ears.make(Hearing())
    prepared, keep = ears.prepare(Hearing(wake=Wake(model=path)))
    assert prepared._wake is not first._wake
    assert ears.make(Hearing())._wake is first._wake
    keep()
    assert ears.make(Hearing(wake=Wake(model=path)))._wake is prepared._wake


def test_a_model_that_is_none_is_refused_and_forgotten(tmp_path):
    ears = Ears()
    first = ears.make(Hearing())
    with pytest.raises(ConfigError, match="not a model"):
        ears.make(Hearing(wake=Wake(model=tmp_path / "none.onnx")))
    assert ears.make(Hearing())._wake is first._wake
