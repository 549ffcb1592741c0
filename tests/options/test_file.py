import os
from pathlib import Path

import pytest
from hypothesis import given
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


def problems(path: Path) -> list[str]:
    found = sources.read_file(SCHEMA, path, required=True).problems
    assert all(problem.startswith(f"{path}: ") for problem in found)
    return [problem.removeprefix(f"{path}: ") for problem in found]


def test_a_byte_order_mark_at_the_beginning_is_no_mistake():
    path = Path(__file__).parents[1] / "data" / "bom.toml"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    layer = sources.read_file(SCHEMA, path, required=True)
    assert (layer.problems, layer.values) == ([], {"backend.agent_id": "kitchen"})


def test_a_tilde_in_the_file_is_the_home_of_a_user(write, monkeypatch):
    monkeypatch.setenv("HOME", "/houses/me")
    layer = sources.read_file(SCHEMA, write('[hearing.wake]\nmodel = "~/a.onnx"'), required=True)
    assert layer.values == {"hearing.wake.model": Path("/houses/me/a.onnx")}


def test_tables_and_values(write):
    path = write(
        """
        with_backend = true
        [hearing.endpointing]
        hangover_ms = 700
        [hearing]
        wake = { threshold = 0.4, model = "" }
        [backend]
        connect_s = 3
        """
    )
    layer = sources.read_file(SCHEMA, path, required=True)
    assert layer.problems == []
    assert layer.values == {
        "with_backend": True,
        "hearing.endpointing.hangover_ms": 700,
        "hearing.wake.threshold": 0.4,
        "hearing.wake.model": None,
        "backend.connect_s": 3.0,
    }
    assert layer.origins["with_backend"] == f"{path}: with_backend"


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("elephant = 1", "elephant: there is no such option"),
        ("[microphon]\ndevice='x'", "microphon: there is no such option; did you mean microphone?"),
        (
            "[hearing.endpoint]\nhangover_ms=700",
            "hearing.endpoint: there is no such option; did you mean hearing.endpointing?",
        ),
        (
            "[backend]\npasword='hunter2'",
            "backend.pasword: there is no such option; did you mean backend.password?",
        ),
        (
            "[microphone]\npre_roll_ms=1",
            (
                "microphone.pre_roll_ms: there is no such option; "
                "did you mean hearing.endpointing.pre_roll_ms?"
            ),
        ),
        (
            "[hearing.endpointing]\nhangover_ms=70",
            "hearing.endpointing.hangover_ms: given 70, expected a whole number from 100 to 5000",
        ),
        (
            "[hearing.endpointing]\nhangover_ms=700.5",
            (
                "hearing.endpointing.hangover_ms: given 700.5, "
                "expected a whole number from 100 to 5000"
            ),
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
            (
                "hearing.reply_ms: given a very large number, "
                "expected a whole number from 1000 to 600000"
            ),
        ),
        (
            "[backend]\npassword=12345",
            "backend.password: given a value that is not shown, expected at least one character",
        ),
        ('"a\\nb" = 1', r'"a\nb": there is no such option'),
        ("x = [1,\n2", "is not valid TOML: Unclosed array (at end of document)"),
        ("a = 1\nb = ", "is not valid TOML: Invalid value (at end of document)"),
        ("a = 1\nb =: 2\n", "is not valid TOML: Invalid value (at line 2, column 4)"),
        (b"a = '\xff'", "is not valid TOML: byte 6 is not UTF-8"),
        ("a = " + "[" * 5000, "is not valid TOML: nested too deeply"),
        ("#" * (1024 * 1024 + 1), "cannot be read: it is longer than 1048576 bytes"),
    ],
)
def test_mistakes(write, toml, problem):
    assert problems(write(toml)) == [problem]


def test_every_mistake_is_found(write):
    toml = "[backend]\nurl=5\npasword='hunter2'\n[hearing.wake]\nthreshold=7\n[microphon]\n"
    assert len(problems(write(toml))) == 4
    assert not any("hunter2" in problem for problem in problems(write(toml)))


def test_a_password_in_the_file_makes_it_private(write):
    toml = "[backend]\npassword = 'hunter2'"
    layer = sources.read_file(SCHEMA, write(toml), required=True)
    assert (layer.values, layer.problems) == ({"backend.password": SecretStr("hunter2")}, [])
    (problem,) = problems(write(toml, 0o644))
    assert problem.startswith("backend.password: the file holds a secret, and others may read it")
    assert problem.endswith("or use backend.password_file")
    assert problems(write("[backend]\nfresh_s = 9", 0o644)) == []


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "gone.toml"
    assert problems(path) == ["there is no such file"]
    assert sources.read_file(SCHEMA, path, required=False) == Layer(SCHEMA, str(path))


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert problems(tmp_path / "pipe") == ["cannot be read: it is no regular file"]
    assert problems(tmp_path) == ["cannot be read: it is no regular file"]
    assert problems(tmp_path / "pipe" / "x") == ["cannot be read: Not a directory"]


def test_a_file_that_may_not_be_read(write, monkeypatch):
    def refuse(*_: object, **_more: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = write("")
    monkeypatch.setattr(os, "open", refuse)
    assert problems(path) == ["cannot be read: Permission denied"]


NAMES = st.sampled_from(["hearing", "wake", "threshold", "backend", "password", "x", '"a b"', "."])
PIECES = NAMES | st.sampled_from(
    ["[", "]", "[[", "]]", "=", "\n", "'", '"', "{", "}", ",", "1e999"]
)


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    check_is_read_or_refused(tmp_path_factory.mktemp("any") / "c.toml", data)


@given(st.lists(PIECES).map("".join))
def test_anything_like_toml_is_read_or_refused(tmp_path_factory, text):
    check_is_read_or_refused(tmp_path_factory.mktemp("any") / "c.toml", text.encode())


def check_is_read_or_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    layer = sources.read_file(SCHEMA, path, required=True)
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
    layer = sources.read_file(SCHEMA, write(f"[microphone]\n{toml}\n"), required=True)
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
