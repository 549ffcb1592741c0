"""Utterances: captured ones, and drafts that are still being spoken."""

from dataclasses import FrozenInstanceError

import pytest

from jarvis_ear.delivery.utterance import MAX_MESSAGES, MAX_PCM_BYTES, CapturedAudio, Draft
from jarvis_ear.wires.messages import Listening, Pong, Processing, Transcript


@pytest.fixture
def draft():
    return Draft("t1")


def test_each_link_gets_it_from_the_beginning_and_then_what_is_new(draft):
    assert not draft.on_link
    assert draft.add(0, b"abcd")
    assert draft.take_unsent() == (0, b"abcd")
    assert draft.on_link
    assert draft.add(4, b"ef")
    assert (draft.sent_bytes, draft.take_unsent()) == (4, (4, b"ef"))
    assert draft.take_unsent() == (6, b"")
    draft.lose_link()
    assert not draft.on_link
    assert draft.take_unsent() == (0, b"abcdef")


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


def test_a_draft_that_a_backend_has_begun_to_run_is_remembered_beyond_the_link(draft):
    draft.hear(Processing())
    draft.lose_link()
    assert draft.taken
    assert draft.messages == []


def test_captured_audio_is_a_constant_value():
    captured = CapturedAudio(b"\x00\x01", "t1", 12.5)
    assert captured == CapturedAudio(b"\x00\x01", "t1", 12.5)
    with pytest.raises(FrozenInstanceError):
        captured.spoken_at = 99.0
