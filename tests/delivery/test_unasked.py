"""Unasked speech is counted, and reported once for each burst."""

import math

import pytest

from jarvis_ear.delivery.events import Finished, UnaskedSpeech
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.reply import UnaskedChunks
from jarvis_ear.delivery.timeouts import Timeouts
from jarvis_ear.delivery.transitions import Emit
from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.wires.messages import Listening, Processing, TtsChunk, TtsDone

CHUNK = TtsChunk(0, "audio/wav", b"RIFF")
WAV = b"RIFF" + bytes(40)


@pytest.fixture
def box():
    box = Outbox("den", Timeouts())
    box.link_up(0.0)
    return box


def test_a_burst_ends_two_seconds_after_its_last_sentence():
    unasked = UnaskedChunks()
    assert unasked.deadline == math.inf
    unasked.add(10.0)
    unasked.add(11.0)
    assert unasked.deadline == 13.0
    assert unasked.take() == 2
    assert unasked.take() == 0
    assert unasked.deadline == math.inf


def test_a_burst_without_end_is_told_of_once_a_minute():
    unasked = UnaskedChunks()
    for second in range(60):
        unasked.add(float(second))
    assert unasked.deadline == 60.0


def test_speech_that_was_not_asked_for_is_told_once_with_its_number(box):
    for index in range(3):
        assert box.hear(TtsChunk(index, "audio/wav", b"RIFF"), 1.0 + index) == ()
    assert box.deadline == 5.0
    assert box.tick(4.9) == ()
    assert box.tick(5.0) == (Emit(UnaskedSpeech(3)),)
    assert box.tick(9.0) == ()
    assert box.counters()["stray_messages"] == 3


def test_its_end_is_the_end_of_the_burst(box):
    box.hear(CHUNK, 1.0)
    assert box.hear(TtsDone(1), 1.1) == (Emit(UnaskedSpeech(1)),)
    assert box.hear(TtsDone(1), 1.2) == ()


@pytest.mark.parametrize("answered", [False, True])
def test_speech_before_the_sentence_is_handed_over_is_not_its_reply(box, answered):
    box.put(Utterance("t1", WAV, 44, 1.0), 1.0)
    if answered:
        box.hear(Listening("den"), 1.1)
    assert box.hear(CHUNK, 1.2) == ()
    assert Emit(UnaskedSpeech(1)) in box.tick(3.2)


def test_speech_after_the_end_of_a_turn_is_not_asked_for(box):
    box.put(Utterance("t1", WAV, 44, 1.0), 1.0)
    box.hear(Listening("den"), 1.1)
    box.flushed(1.2)
    box.hear(Processing(), 1.3)
    assert box.hear(TtsDone(0), 1.4)[-1].event == Finished("t1", "done", "", 0)
    box.hear(CHUNK, 1.5)
    assert box.tick(3.5) == (Emit(UnaskedSpeech(1)),)


def test_what_was_not_told_yet_is_told_at_the_end(box):
    box.hear(CHUNK, 1.0)
    assert box.close(1.1) == (Emit(UnaskedSpeech(1)),)
