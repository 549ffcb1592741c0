"""The command line as a source of options."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.options import sources
from jarvis_ear.options.sources import Layer
from jarvis_ear.schema import SCHEMA

OPTIONS, SHORT_FLAGS = SCHEMA.options, SCHEMA.short_flags


def read_command_line(arguments: Sequence[str]) -> Layer:
    return sources.read_command_line(SCHEMA, arguments)


def values(*arguments: str) -> dict[str, object]:
    layer = read_command_line(arguments)
    assert layer.problems == []
    return layer.values


def problems(*arguments: str) -> list[str]:
    return read_command_line(arguments).problems


VALUES = {
    "--threshold 0.4": ("hearing.wake.threshold", 0.4),
    "--threshold=0.4": ("hearing.wake.threshold", 0.4),
    "--hearing.endpointing.hangover-ms 700": ("hearing.endpointing.hangover_ms", 700),
    "--hearing.endpointing.hangover_ms 700": ("hearing.endpointing.hangover_ms", 700),
    "--fast": ("microphone.fast", True),
    "--fast=yes": ("microphone.fast", True),
    "--no-fast": ("microphone.fast", False),
    "--fast=false": ("microphone.fast", False),
    "--no-microphone.fast": ("microphone.fast", False),
    "--input -": ("microphone.input", "-"),
    "--hearing.wake.model=": ("hearing.wake.model", None),
    "--hearing.wake.model a.onnx": ("hearing.wake.model", Path("a.onnx")),
    "--config a.toml": ("config", Path("a.toml")),
    "--config=a.toml": ("config", Path("a.toml")),
}


@pytest.mark.parametrize("arguments", VALUES)
def test_a_value_follows_its_flag_or_is_attached(arguments):
    assert values(*arguments.split()) == dict([VALUES[arguments]])


def test_every_short_name_is_one_of_an_option():
    assert set(SHORT_FLAGS) <= {option.key for option in OPTIONS}
    shortest = {option.flags[0]: option.flags[-1] for option in OPTIONS if option.flags}
    assert all(flag in {*SHORT_FLAGS.values(), last} for flag, last in shortest.items())


def test_a_tilde_is_the_home_of_a_user(monkeypatch):
    monkeypatch.setenv("HOME", "/houses/me")
    assert values("--config", "~/a.toml")["config"] == Path("/houses/me/a.toml")
    (word,) = values("--wake-model", "~/a.onnx")["hearing.wake.words"]
    assert word.model == "/houses/me/a.onnx"
    assert values("--input=~/a.wav") == {"microphone.input": "/houses/me/a.wav"}
    assert values("--speaker.output-dir", "./~a") == {"speaker.output_dir": Path("./~a")}
    assert values("--device", "~usb") == {"microphone.device": "~usb"}  # the name of a device
    paths = [option for option in OPTIONS if option.kind is Path]
    assert len(paths) >= 7
    assert {option.parse("~/x") for option in paths} == {Path("/houses/me/x")}


@pytest.mark.parametrize("flag", ["--config", "--hearing.wake.model", "--input"])
def test_the_home_of_an_unknown_user_is_a_mistake(flag):
    (problem,) = problems(flag, "~no-such-user-at-all/x")
    assert problem == (
        f'command line: {flag}: given "~no-such-user-at-all/x", '
        "expected a path whose ~ stands for the home of a known user"
    )


def test_a_flag_of_a_list_is_given_for_each_item():
    one = ["--wake-model", "alexa", "--wake-model=b.onnx"]
    words = values(*one)["hearing.wake.words"]
    assert [word.model for word in words] == ["alexa", "b.onnx"]
    assert values("--wake-model", "alexa,b.onnx")["hearing.wake.words"] == words
    tables = '[{"model": "alexa"}, {"model": "b.onnx"}]'
    assert values("--wake-model", tables)["hearing.wake.words"] == words
    assert values("--wake-model=") == {"hearing.wake.words": ()}


def test_the_origin_is_the_flag():
    assert read_command_line(["--fast"]).origins == {"microphone.fast": "command line: --fast"}


TWICE = "given twice, expected once"
NONE, NUMBER = "there is no such option", "expected a number from 0 to 0.99"
MISTAKES = {
    "--treshold 0.4": f"--treshold: {NONE}; did you mean --threshold?",
    "--Threshold 0.4": f"--Threshold: {NONE}; did you mean --threshold?",
    "--hangover-ms=7": f"--hangover-ms: {NONE}; did you mean --hearing.endpointing.hangover-ms?",
    "--elephant": f"--elephant: {NONE}",
    "-x": f"-x: {NONE}",
    "--no-threshold": f"--no-threshold: {NONE}; did you mean --threshold?",
    "a.wav": '"a.wav": expected an option, which begins with --',
    "--config": "--config: without a value, expected a path",
    "--threshold": f"--threshold: without a value, {NUMBER}",
    "--threshold --fast": f"--threshold: without a value, {NUMBER}",
    "--threshold 1": f'--threshold: given "1", {NUMBER}',
    "--fast=maybe": '--fast: given "maybe", expected true or false',
    "--log-format xml": '--log-format: given "xml", expected one of auto, text, json',
    "--hearing.wake.patience 1.5": (
        '--hearing.wake.patience: given "1.5", expected a whole number from 1 to 10'
    ),
    "--backend.agent-id=": '--backend.agent-id: given "", expected 1 to 64 characters',
    "--threshold=0.4 --hearing.wake.threshold 0.6": f"--hearing.wake.threshold: {TWICE}",
    "--fast --fast": f"--fast: {TWICE}",
    "--fast --no-fast": f"--no-fast: {TWICE}",
    "--config a.toml --config=b.toml": f"--config: {TWICE}",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_named_with_what_was_expected(arguments):
    assert problems(*arguments.split()) == [f"command line: {MISTAKES[arguments]}"]


def test_all_mistakes_are_found():
    mistakes = "--treshold 1 --fast=maybe x --threshold 2 --device"
    assert len(problems(*mistakes.split())) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        *("--password hunter2", "--password=hunter2", "--backend.password hunter2"),
        *("--backend_password=hunter2", "--jarvis-password hunter2", "--passwrod hunter2"),
        *("--passwrod=hunter2", "-p hunter2", "--backend-url http://me:hunter2@host"),
    ],
)
def test_a_password_is_refused_and_not_repeated(arguments):
    (problem,) = problems(*arguments.split())
    assert "hunter2" not in problem
    if "--backend.password" in arguments:
        assert "JARVIS_PASSWORD" in problem
        assert "credential jarvis-password" in problem
        assert "--backend.password-file" in problem


@given(
    st.lists(st.text(max_size=20) | st.sampled_from(["--fast", "--config", "--", "-", "=", "--="]))
)
def test_any_words_are_taken_or_refused(arguments):
    layer = read_command_line(arguments)
    assert all(problem.isprintable() for problem in layer.problems)
