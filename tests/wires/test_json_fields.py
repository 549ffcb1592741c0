"""JSON objects become dataclasses, or a RemoteProtocolError."""

from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import json_fields
from jarvis_ear.wires.json_fields import Vocabulary, printable


@dataclass(frozen=True)
class Sample:
    sample_rate: int
    is_final: bool = False
    text: str = ""


def test_names_are_the_peers():
    assert json_fields.write_fields(Sample(1)) == {"sampleRate": 1, "isFinal": False, "text": ""}


@given(st.integers(), st.booleans(), st.text())
def test_what_is_written_is_read(rate, final, text):
    message = Sample(rate, final, text)
    written = json_fields.write_object(json_fields.write_fields(message))
    assert json_fields.read_fields(Sample, json_fields.read_object(written)) == message


def test_what_is_not_said_is_the_default_and_what_is_unknown_is_passed_over():
    assert json_fields.read_fields(Sample, {"sampleRate": 1, "x": 2}) == Sample(1)


@pytest.mark.parametrize("payload", [{}, {"sampleRate": True}, {"sampleRate": "1"}])
def test_a_field_of_another_kind_is_refused(payload):
    with pytest.raises(RemoteProtocolError, match=r"sampleRate is .*; expected a whole number"):
        json_fields.read_fields(Sample, payload)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '"x"', '{"a":NaN}', "[" * 50_000, " " * 70_000, "{'a':1}"]
)
def test_what_is_no_object_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        json_fields.read_object(text)


@given(st.text())
def test_any_text_is_an_object_or_refused(text):
    with suppress(RemoteProtocolError):
        assert isinstance(json_fields.read_object(text), dict)


@dataclass(frozen=True, slots=True)
class Hello:
    sample_rate: int


WORDS = Vocabulary[Hello]({"hello": Hello})


def test_there_and_back():
    assert WORDS.encode(Hello(16_000)) == '{"type":"hello","sampleRate":16000}'
    assert WORDS.decode('{"type": "hello", "sampleRate": 8000, "more": 1}') == Hello(8000)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type":["hello"]}', '{"type":"hi"}'])
def test_other_words(text):
    with pytest.raises(RemoteProtocolError):
        WORDS.decode(text)


def test_what_could_move_a_terminal_becomes_a_space():
    assert printable("a\x1b[2Jb\nc\u202ed\ud800e") == "a [2Jb c d e"
    assert printable("schön · 時間") == "schön · 時間"
