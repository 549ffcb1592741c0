"""The wake phrase at the front of a transcript."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_backend.text import without_wake_phrase


@pytest.mark.parametrize(
    ("transcript", "command"),
    [
        ("hey jarvis what time is it", "what time is it"),
        ("Hey, Jarvis! What time is it?", "What time is it?"),
        ("hey jarvis, stop", "stop"),
        ("JARVIS stop", "stop"),
        (" jarvis", ""),
        ("the jarvis what time is it", "what time is it"),
        ("they'd jarvis stop", "stop"),
        ("what time is it", "what time is it"),
        (" stop ", "stop"),
        ("repeat jarvis is here", "repeat jarvis is here"),
        ("jarvisson called", "jarvisson called"),
        ("jarvis's birthday", "jarvis's birthday"),
        ("hey there", "hey there"),
        ("", ""),
    ],
)
def test_only_a_leading_call_is_taken_off(transcript, command):
    assert without_wake_phrase(transcript) == command


@given(st.text())
def test_it_only_ever_takes_from_the_front(transcript):
    assert transcript.strip().endswith(without_wake_phrase(transcript))
