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
        """
    )
    layer = read(path)
    assert layer.problems == []
    assert layer.values == {
        "speaker.output_dir": Path("/houses/me/replies"),
        "with_backend": True,
        "hearing.endpointing.hangover_ms": 700,
        "hearing.wake.threshold": 0.4,
        "hearing.wake.model": None,
        "backend.connect_s": 3.0,
    }
    assert layer.origins["with_backend"] == f"{path}: with_backend"


NONE, HANGOVER = "there is no such option", "expected a whole number from 100 to 5000"
HUGE, HIDDEN = "given a very large number", "given a value that is not shown"


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("elephant = 1", f"elephant: {NONE}"),
        ("[microphon]\ndevice='x'", f"microphon: {NONE}; did you mean microphone?"),
        ("[hearing.endpoint]\nx=7", f"hearing.endpoint: {NONE}; did you mean hearing.endpointing?"),
        ("[backend]\npasword='x'", f"backend.pasword: {NONE}; did you mean backend.password?"),
        (
            "[microphone]\npre_roll_ms=1",
            f"microphone.pre_roll_ms: {NONE}; did you mean hearing.endpointing.pre_roll_ms?",
        ),
        *(
            (
                f"[hearing.endpointing]\nhangover_ms={given}",
                f"hearing.endpointing.hangover_ms: given {given}, {HANGOVER}",
            )
            for given in ("70", "700.5")
        ),
        (
            "[hearing.wake]\npatience=true",
            "hearing.wake.patience: given true, expected a whole number from 1 to 10",
        ),
        ("[microphone]\nfast=1", "microphone.fast: given 1, expected true or false"),
        ("[microphone]\ndevice=3", "microphone.device: given 3, expected text"),
        ("[microphone]\ndevice=[1]", "microphone.device: given a list, expected text"),
        ("[microphone.device]", "microphone.device: given a table, expected text"),
        ("microphone = 5", "microphone: given 5, expected a table: [microphone]"),
        ("[[microphone]]", "microphone: given a list, expected a table: [microphone]"),
        (
            "[speaker]\noutput_dir=2026-01-01",
            'speaker.output_dir: given "2026-01-01", expected a path',
        ),
        (
            f"[hearing]\nreply_ms=0x1{'0' * 5000}",
            f"hearing.reply_ms: {HUGE}, expected a whole number from 1000 to 600000",
        ),
        ("[backend]\npassword=1", f"backend.password: {HIDDEN}, expected at least one character"),
        ('"a\\nb" = 1', rf'"a\nb": {NONE}'),
        ("x = [1,\n2", "is not valid TOML: Unclosed array (at end of document)"),
        ("a = 1\nb = ", "is not valid TOML: Invalid value (at end of document)"),
        ("a = 1\nb =: 2\n", "is not valid TOML: Invalid value (at line 2, column 4)"),
        (b"a = '\xff'", "is not valid TOML: byte 6 is not UTF-8"),
        ("a = " + "[" * 5000, "is not valid TOML: nested too deeply"),
        ("#" * (1024 * 1024 + 1), "cannot be read: it is longer than 1048576 bytes"),
    ],
    ids=lambda value: None if len(value) < 100 else f"{value[:20]!r}...",
)
def test_a_mistake_is_named_with_what_was_expected(write, toml, problem):
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
    assert problems(pipe) == problems(tmp_path) == ["cannot be read: it is no regular file"]
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


@pytest.mark.parametrize(
    ("toml", "values"),
    [
        ("channel = 1", {"microphone.channel": "1"}),
        ('channel = "mix"', {"microphone.channel": "mix"}),
        ('mute_between = ["23:00", "07:00"]', {"microphone.mute_between": "23:00-07:00"}),
        ('mute_between = "23:00-07:00"', {"microphone.mute_between": "23:00-07:00"}),
    ],
)
def test_a_number_or_a_list_where_that_is_how_people_write_it(write, toml, values):
    layer = read(write(f"[microphone]\n{toml}\n"))
    assert (layer.problems, layer.values) == ([], values)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("channel = 9", "a channel from 0 to 7, or mix"),
        ("channel = true", "a channel from 0 to 7, or mix"),
        ("channel = [1]", "a channel from 0 to 7, or mix"),
        ("mute_between = 7", "two different times"),
        ('mute_between = ["23:00"]', "two different times"),
        ('device = "/usb(/"', "a regular expression between the slashes"),
    ],
)
def test_mistakes_about_the_microphone(write, toml, words):
    [problem] = problems(write(f"[microphone]\n{toml}\n"))
    assert words in problem
