"""From options to engines."""

import asyncio
import importlib.util
import logging
import sys

import pytest

from jarvis_backend.config import BackendConfig
from jarvis_backend.engines.choose import choose_engines
from jarvis_backend.engines.engine import MissingEngine


def chosen(**options):
    engines = choose_engines(BackendConfig(**options))
    asyncio.run(engines.aclose())
    return engines


@pytest.mark.parametrize(
    ("part", "engine"),
    [
        ("stt", "pocketsphinx"),
        ("stt", "openai"),
        ("brain", "builtin"),
        ("brain", "openai"),
        ("tts", "espeak-library"),
        ("tts", "openai"),
        ("stt", "wyoming"),
        ("brain", "home-assistant"),
        ("tts", "wyoming"),
    ],
)
def test_the_configured_engine_is_chosen(part, engine):
    made = getattr(chosen(**{part: {"engine": engine, "url": "http://127.0.0.1:1"}}), part)
    assert (made.provider if part == "brain" else made.name) == engine


def test_the_first_installed_voice_is_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chosen().tts.name == "espeak-library"
    for name in ("espeak-ng", "flite"):
        (tmp_path / name).touch(0o755)
        assert chosen().tts.name == name


def test_each_missing_engine_is_one_warning_that_says_what_to_install(monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    engines = chosen()
    assert isinstance(engines.stt, MissingEngine)
    assert isinstance(engines.tts, MissingEngine)
    ear, voice = (record.getMessage() for record in caplog.records)
    assert "pip install pocketsphinx" in ear
    assert "apt install flite" in voice
    assert "apt install espeak-ng" in voice
    assert "pip install espeakng-loader" in voice


@pytest.mark.parametrize(
    ("options", "package"),
    [
        ({"stt": {"engine": "faster-whisper"}}, "'jarvis-ear[whisper]'"),
        ({"tts": {"engine": "piper"}}, "'jarvis-ear[piper]'"),
    ],
)
def test_an_optional_engine_names_its_package_and_the_others_go_on(
    monkeypatch, caplog, options, package
):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setitem(sys.modules, "piper", None)
    chosen(**options)
    assert len(caplog.records) == 1
    assert f"pip install {package}" in caplog.text


def test_an_engine_that_is_switched_off_is_no_warning(caplog):
    engines = chosen(stt={"engine": "none"}, tts={"engine": "none"})
    assert (engines.stt.name, engines.tts.name) == ("none", "none")
    assert caplog.records == []
