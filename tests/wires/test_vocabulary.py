"""A vocabulary says its own words, and no others."""

from dataclasses import dataclass

import pytest

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires.json_fields import Vocabulary


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
