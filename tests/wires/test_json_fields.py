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


def test_field_names_are_in_camel_case():
    assert json_fields.write_fields(Sample(1)) == {"sampleRate": 1, "isFinal": False, "text": ""}


@given(st.integers(), st.booleans(), st.text())
def test_a_message_is_read_as_it_was_written(rate, final, text):
    message = Sample(rate, final, text)
    written = json_fields.write_object(json_fields.write_fields(message))
    assert json_fields.read_fields(Sample, json_fields.read_object(written)) == message


def test_a_missing_field_has_its_default_and_an_unknown_one_is_ignored():
    assert json_fields.read_fields(Sample, {"sampleRate": 1, "x": 2}) == Sample(1)


@pytest.mark.parametrize("payload", [{}, {"sampleRate": True}, {"sampleRate": "1"}])
def test_a_field_of_another_kind_is_refused(payload):
    with pytest.raises(RemoteProtocolError, match=r"sampleRate is .*; expected a whole number"):
        json_fields.read_fields(Sample, payload)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '"x"', '{"a":NaN}', "[" * 50_000, " " * 70_000, "{'a':1}"]
)
def test_text_that_is_no_object_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        json_fields.read_object(text)


@given(st.text())
def test_any_text_is_an_object_or_refused(text):
    with suppress(RemoteProtocolError):
        assert isinstance(json_fields.read_object(text), dict)


WORDS = Vocabulary[Sample]({"hello": Sample})


def test_a_vocabulary_reads_and_writes_the_type():
    written = '{"type":"hello","sampleRate":16000,"isFinal":false,"text":""}'
    assert WORDS.encode(Sample(16_000)) == written
    assert WORDS.decode('{"type": "hello", "sampleRate": 8000, "more": 1}') == Sample(8000)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type":["hello"]}', '{"type":"hi"}'])
def test_a_type_outside_the_vocabulary_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        WORDS.decode(text)


def test_a_control_character_becomes_a_space():
    assert printable("a\x1b[2Jb\nc\u202ed\ud800e") == "a [2Jb c d e"
    assert printable("schön · 時間") == "schön · 時間"
