"""The file as a source of options."""

import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from jarvis_ear.options import sources
from jarvis_ear.options.sources import Layer
from jarvis_ear.schema import SCHEMA


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, mode: int = 0o600) -> Path:
        path = tmp_path / "config.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return write


def read(path: Path) -> Layer:
    return sources.read_file(SCHEMA, path, required=True)


def problems(path: Path) -> list[str]:
    found = read(path).problems
    assert all(problem.startswith(f"{path}: ") for problem in found)
    return [problem.removeprefix(f"{path}: ") for problem in found]


def test_a_byte_order_mark_at_the_beginning_is_no_mistake():
    path = Path(__file__).parents[1] / "data" / "bom.toml"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert (read(path).problems, read(path).values) == ([], {"backend.agent_id": "kitchen"})


def test_tables_and_values(write, monkeypatch):
    monkeypatch.setenv("HOME", "/houses/me")
    path = write(
        """
        with_backend = true
        [hearing.endpointing]
        hangover_ms = 700
        [hearing]
        wake = { threshold = 0.4, model = "" }
        [backend]
        connect_s = 3
        [speaker]
        output_dir = "~/replies"
        [microphone]
        channel = 1
        mute_between = ["23:00", "07:00"]
        """
    )
    layer = read(path)
    assert layer.problems == []
    assert layer.values == {
        "speaker.output_dir": Path("/houses/me/replies"),
        "microphone.channel": "1",
        "microphone.mute_between": "23:00-07:00",
        "with_backend": True,
        "hearing.endpointing.hangover_ms": 700,
        "hearing.wake.threshold": 0.4,
        "hearing.wake.model": None,
        "backend.connect_s": 3.0,
    }
    assert layer.origins["with_backend"] == f"{path}: with_backend"
    path = write('[microphone]\nchannel = "mix"\nmute_between = "23:00-07:00"\n')
    values = {"microphone.channel": "mix", "microphone.mute_between": "23:00-07:00"}
    assert (read(path).problems, read(path).values) == ([], values)


HUGE = f"0x1{'0' * 5000}"
HANGOVER, CHANNEL = "a whole number from 100 to 5000", "a channel from 0 to 7, or mix"
HOURS = 'two different times, as "23:00-07:00"'


@pytest.mark.parametrize(
    ("key", "given", "shown", "expected"),
    [
        ("hearing.endpointing.hangover_ms", "70", "70", HANGOVER),
        ("hearing.endpointing.hangover_ms", "700.5", "700.5", HANGOVER),
        ("hearing.wake.patience", "true", "true", "a whole number from 1 to 10"),
        ("hearing.reply_ms", HUGE, "a very large number", "a whole number from 1000 to 600000"),
        ("backend.password", "12345", "a value that is not shown", "at least one character"),
        ("speaker.output_dir", "2026-01-01", '"2026-01-01"', "a path"),
        ("backend.ca_file", r'"a\u0000b"', r'"a\u0000b"', "a path"),  # no system call takes it
        ("microphone.fast", "1", "1", "true or false"),
        ("microphone.device", "3", "3", "text"),
        ("microphone.device", "[1]", "a list", "text"),
        ("microphone.device", "{}", "a table", "text"),
        ("microphone.device", '"/usb(/"', '"/usb(/"', "a regular expression between the slashes"),
        ("microphone.channel", "9", "9", CHANNEL),
        ("microphone.channel", "true", "true", CHANNEL),
        ("microphone.channel", "[1]", "a list", CHANNEL),
        ("microphone.mute_between", "7", "7", HOURS),
        ("microphone.mute_between", '["23:00"]', "a list", HOURS),
        ("microphone", "5", "5", "a table: [microphone]"),
        ("microphone", "[{}]", "a list", "a table: [microphone]"),
    ],
    ids=lambda value: None if value is not HUGE else "huge",
)
def test_a_wrong_value_is_shown_with_what_was_expected(write, key, given, shown, expected):
    assert problems(write(f"{key} = {given}")) == [f"{key}: given {shown}, expected {expected}"]


WORDS = {
    '["alexa", {}]': "in item 1, model: at least one character",
    '[{model="alexa", threshold=2}]': "in item 0, threshold: a number from 0 to 0.99",
    '[{model="alexa", patience="x"}]': "in item 0, patience: a whole number from 0 to 10",
    '[{model="alexa", agent="x"}]': (
        "in item 0: a name, or a table of model, threshold, patience, agent_id, chime"
    ),
    "[7]": "in item 0: a name, or a table of model, threshold, patience, agent_id, chime",
    "[" + "'alexa'," * 9 + "]": "a list, separated by commas, of at most 8 items",
}


@pytest.mark.parametrize("given", WORDS)
def test_a_mistake_in_a_list_of_tables_names_the_item_and_its_option(write, given):
    expected = f"hearing.wake.words: given a list, expected {WORDS[given]}"
    assert problems(write(f"hearing.wake.words = {given}")) == [expected]


NONE = "there is no such option"
UNKNOWN = {
    "elephant": f"elephant: {NONE}",
    "microphon.device": f"microphon: {NONE}; did you mean microphone?",
    "hearing.endpoint.x": f"hearing.endpoint: {NONE}; did you mean hearing.endpointing?",
    "backend.pasword": f"backend.pasword: {NONE}; did you mean backend.password?",
    "microphone.onset_ms": (
        f"microphone.onset_ms: {NONE}; did you mean hearing.endpointing.onset_ms?"
    ),
    r'"a\nb"': rf'"a\nb": {NONE}',
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_name_is_a_mistake(write, name):
    assert problems(write(f"{name} = 'hunter2'")) == [UNKNOWN[name]]


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("x = [1,\n2", "is not valid TOML: Unclosed array (at end of document)"),
        ("a = 1\nb = ", "is not valid TOML: Invalid value (at end of document)"),
        ("a = 1\nb =: 2\n", "is not valid TOML: Invalid value (at line 2, column 4)"),
        (b"a = '\xff'", "is not valid TOML: byte 6 is not UTF-8"),
        ("a = " + "[" * 5000, "is not valid TOML: nested too deeply"),
        ("#" * (1024 * 1024 + 1), "cannot be read: it is longer than 1048576 bytes"),
    ],
    ids=["array", "value", "sign", "bytes", "depth", "length"],
)
def test_a_file_that_is_not_toml_is_a_mistake(write, toml, problem):
    assert problems(write(toml)) == [problem]


def test_every_mistake_is_found(write):
    toml = "[backend]\nurl=5\npasword='hunter2'\n[hearing.wake]\nthreshold=7\n[microphon]\n"
    assert len(problems(write(toml))) == 4
    assert not any("hunter2" in problem for problem in problems(write(toml)))


def test_a_password_in_the_file_makes_it_private(write):
    toml = "[backend]\npassword = 'hunter2'"
    layer = read(write(toml))
    assert (layer.values, layer.problems) == ({"backend.password": SecretStr("hunter2")}, [])
    (problem,) = problems(write(toml, 0o644))
    assert problem.startswith("backend.password: the file holds a secret, and others may read it")
    assert problem.endswith("or use backend.password_file")
    assert problems(write("[backend]\nfresh_s = 9", 0o644)) == []


def test_a_file_that_cannot_be_read(tmp_path, write, monkeypatch):
    gone, pipe = tmp_path / "gone.toml", tmp_path / "pipe"
    assert problems(gone) == ["there is no such file"]
    assert sources.read_file(SCHEMA, gone, required=False) == Layer(SCHEMA, str(gone))
    os.mkfifo(pipe)
    assert problems(pipe) == problems(tmp_path) == ["cannot be read: it is not a regular file"]
    assert problems(pipe / "x") == ["cannot be read: Not a directory"]
    path = write("")
    monkeypatch.setattr(os, "open", Mock(side_effect=PermissionError(13, "Permission denied")))
    assert problems(path) == ["cannot be read: Permission denied"]


PIECES = st.sampled_from(
    [
        *("hearing", "wake", "threshold", "backend", "password", "x", '"a b"', ".", "["),
        *("]", "[[", "]]", "=", "\n", "'", '"', "{", "}", ",", "1e999"),
    ]
)
TEXTS = st.text() | st.lists(PIECES).map("".join)


@settings(max_examples=300)
@given(st.binary() | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "c.toml"
    path.write_bytes(data)
    layer = read(path)
    assert all(problem.isprintable() for problem in layer.problems)
    assert set(layer.values) == set(layer.origins)
