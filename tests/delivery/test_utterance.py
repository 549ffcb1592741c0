"""Utterances: captured ones, and drafts that are still being spoken."""

from dataclasses import FrozenInstanceError

import pytest

from jarvis_ear.delivery.utterance import MAX_MESSAGES, MAX_PCM_BYTES, CapturedAudio, Draft
from jarvis_ear.wires.messages import Listening, Pong, Transcript


@pytest.fixture
def draft():
    return Draft("t1")


def test_a_gap_is_found_out_and_so_is_a_sentence_without_end(draft):
    assert draft.add(0, b"ab")
    assert not draft.add(4, b"cd")
    assert not draft.add(2, bytes(MAX_PCM_BYTES))
    assert draft.add(2, bytes(MAX_PCM_BYTES - 2))


def test_a_draft_knows_the_sound_that_begins_with_it(draft):
    draft.add(0, b"abcd")
    draft.take_unsent()
    draft.add(4, b"zz")  # not on the link yet
    assert draft.is_prefix_of(b"abcdef")
    assert not draft.is_prefix_of(b"abc")
    assert not draft.is_prefix_of(b"abXdef")


def test_messages_of_the_backend_are_kept_for_their_turn_within_bounds(draft):
    for message in (Pong(), Listening("den")):
        draft.hear(message)
    assert draft.messages == [Listening("den")]
    assert not draft.taken
    for _ in range(2 * MAX_MESSAGES):
        draft.hear(Listening("den"))
    draft.hear(Transcript("hi"))
    assert len(draft.messages) == MAX_MESSAGES
    assert draft.taken


def test_captured_audio_is_a_constant_value():
    captured = CapturedAudio(b"\x00\x01", "t1", 12.5)
    assert captured == CapturedAudio(b"\x00\x01", "t1", 12.5)
    with pytest.raises(FrozenInstanceError):
        captured.spoken_at = 99.0
