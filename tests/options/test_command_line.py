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


def test_a_value_follows_or_is_attached():
    assert values("--threshold", "0.4") == values("--threshold=0.4")
    assert values("--threshold", "0.4") == {"hearing.wake.threshold": 0.4}


def test_long_names_come_from_the_tree():
    assert values("--hearing.endpointing.hangover-ms", "700") == {
        "hearing.endpointing.hangover_ms": 700
    }
    assert values("--hearing.endpointing.hangover_ms", "700")  # as it is called in the file


def test_every_short_name_is_one_of_an_option():
    assert set(SHORT_FLAGS) <= {option.key for option in OPTIONS}
    assert all(
        option.flags[0] in {*SHORT_FLAGS.values(), option.flags[-1]}
        for option in OPTIONS
        if option.flags
    )


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--fast"], True),
        (["--fast=yes"], True),
        (["--no-fast"], False),
        (["--fast=false"], False),
        (["--no-microphone.fast"], False),
    ],
)
def test_switches(arguments, value):
    assert values(*arguments) == {"microphone.fast": value}


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["--wake-model", "a.onnx", "--wake-model", "b.onnx"], "--wake-model"),
        (["--threshold=0.4", "--hearing.wake.threshold", "0.6"], "--hearing.wake.threshold"),
        (["--fast", "--fast"], "--fast"),
        (["--fast", "--no-fast"], "--no-fast"),
        (["--config", "a.toml", "--config=b.toml"], "--config"),
    ],
)
def test_an_option_that_is_given_twice_is_a_mistake(arguments, flag):
    assert problems(*arguments) == [f"command line: {flag}: given twice, expected once"]


def test_a_tilde_is_the_home_of_a_user(monkeypatch):
    monkeypatch.setenv("HOME", "/houses/me")
    assert values("--config", "~/a.toml")["config"] == Path("/houses/me/a.toml")
    assert values("--wake-model", "~/a.onnx") == {"hearing.wake.model": Path("/houses/me/a.onnx")}
    assert values("--input=~/a.wav") == {"microphone.input": "/houses/me/a.wav"}
    assert values("--wake-model", "./~a.onnx") == {"hearing.wake.model": Path("./~a.onnx")}
    assert values("--device", "~usb") == {"microphone.device": "~usb"}  # the name of a device


def test_every_option_that_is_a_path_knows_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/houses/me")
    paths = [option for option in OPTIONS if option.kind is Path]
    assert len(paths) >= 7
    assert {option.parse("~/x") for option in paths} == {Path("/houses/me/x")}


@pytest.mark.parametrize("flag", ["--config", "--wake-model", "--input"])
def test_the_home_of_an_unknown_user_is_a_mistake(flag):
    (problem,) = problems(flag, "~no-such-user-at-all/x")
    assert problem == (
        f'command line: {flag}: given "~no-such-user-at-all/x", '
        "expected a path whose ~ stands for the home of a known user"
    )


def test_a_single_dash_is_a_value():
    assert values("--input", "-") == {"microphone.input": "-"}


def test_an_empty_path_is_none():
    assert values("--wake-model=") == {"hearing.wake.model": None}
    assert values("--wake-model", "a.onnx") == {"hearing.wake.model": Path("a.onnx")}


def test_the_origin_says_the_flag():
    assert read_command_line(["--fast"]).origins == {"microphone.fast": "command line: --fast"}


def test_the_file_is_named():
    assert values("--config", "a.toml")["config"] == Path("a.toml")
    assert values("--config=a.toml", "--fast")["config"] == Path("a.toml")
    assert problems("--config") == ["command line: --config: without a value, expected a path"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--treshold", "0.4"], "--treshold: there is no such option; did you mean --threshold?"),
        (["--Threshold", "0.4"], "--Threshold: there is no such option; did you mean --threshold?"),
        (
            ["--hangover-ms=700"],
            (
                "--hangover-ms: there is no such option; "
                "did you mean --hearing.endpointing.hangover-ms?"
            ),
        ),
        (["--elephant"], "--elephant: there is no such option"),
        (["-x"], "-x: there is no such option"),
        (["--no-threshold"], "--no-threshold: there is no such option; did you mean --threshold?"),
        (["a.wav"], '"a.wav": expected an option, which begins with --'),
        (["--threshold"], "--threshold: without a value, expected a number above 0 and below 1"),
        (
            ["--threshold", "--fast"],
            "--threshold: without a value, expected a number above 0 and below 1",
        ),
        (["--threshold", "1"], '--threshold: given "1", expected a number above 0 and below 1'),
        (["--fast=maybe"], '--fast: given "maybe", expected true or false'),
        (["--log-format", "xml"], '--log-format: given "xml", expected one of auto, text, json'),
        (
            ["--hearing.wake.patience", "1.5"],
            '--hearing.wake.patience: given "1.5", expected a whole number from 1 to 10',
        ),
        (["--backend.agent-id="], '--backend.agent-id: given "", expected 1 to 64 characters'),
    ],
)
def test_mistakes(arguments, problem):
    assert problems(*arguments) == [f"command line: {problem}"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--password", "hunter2"],
        ["--password=hunter2"],
        ["--backend.password", "hunter2"],
        ["--backend_password=hunter2"],
        ["--jarvis-password", "hunter2"],
        ["--passwrod", "hunter2"],
        ["--passwrod=hunter2"],
        ["-p", "hunter2"],
        ["--backend-url", "http://me:hunter2@host"],
    ],
)
def test_a_password_is_refused_and_not_repeated(arguments):
    (problem,) = problems(*arguments)
    assert "hunter2" not in problem


def test_a_password_is_told_where_it_goes():
    (problem,) = problems("--backend.password", "hunter2")
    assert "JARVIS_PASSWORD" in problem
    assert "credential jarvis-password" in problem
    assert "--backend.password-file" in problem


def test_all_mistakes_are_found():
    assert (
        len(problems("--treshold", "1", "--fast=maybe", "x", "--threshold", "2", "--device")) == 5
    )


@given(
    st.lists(st.text(max_size=20) | st.sampled_from(["--fast", "--config", "--", "-", "=", "--="]))
)
def test_any_words_are_taken_or_refused(arguments):
    layer = read_command_line(arguments)
    assert all(problem.isprintable() for problem in layer.problems)
