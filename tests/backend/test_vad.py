"""Where speech begins, and where an utterance ends."""

import numpy as np
import pytest

from jarvis_backend.vad import SpeechOnset, UtteranceSplitter

MS = 32  # bytes of sound
ONE, OTHER, SILENCE = b"\1", b"\2", b"\0"


class Gate:
    """Takes for speech what is not silence."""

    def is_speech(self, frame, _rate):
        return any(frame)


@pytest.fixture
def splitter():
    made = UtteranceSplitter(1.0)
    made._onset._vad = Gate()
    return made


def test_an_utterance_ends_in_a_pause(splitter):
    [heard] = splitter.feed(ONE * 160 * MS + SILENCE * 1000 * MS)
    assert heard == ONE * 160 * MS + SILENCE * 800 * MS


@pytest.mark.parametrize("step", [640, 12_345, 1_000_000])
def test_what_follows_a_full_one_is_left_out_until_the_next_pause(splitter, step):
    said = ONE * 1400 * MS + SILENCE * 1000 * MS + OTHER * 500 * MS + SILENCE * 1000 * MS
    heard = [u for at in range(0, len(said), step) for u in splitter.feed(said[at : at + step])]
    assert [len(heard), len(heard[0])] == [2, 1000 * MS]
    assert ONE not in heard[1]
    assert heard[1].count(OTHER) == 500 * MS


def test_an_utterance_that_is_ended_needs_no_pause(splitter):
    assert len(list(splitter.feed(ONE * 1400 * MS))) == 1
    assert splitter.flush() == b""
    list(splitter.feed(OTHER * 500 * MS))
    assert splitter.flush() == OTHER * 500 * MS


def test_a_new_utterance_needs_its_own_pause(splitter):
    list(splitter.feed(ONE * 1400 * MS + SILENCE * 1000 * MS))
    list(splitter.feed(OTHER * 100 * MS + SILENCE * 600 * MS))
    heard = splitter.flush()
    assert heard.endswith(OTHER * 100 * MS + SILENCE * 600 * MS)


def test_the_same_sound_in_any_pieces_begins_at_the_same_place():
    hum = (np.sin(np.arange(16_000) / 20) * 9000).astype("<i2")
    sound = np.concatenate([np.zeros(8000, "<i2"), hum]).tobytes()
    begun = []
    for step in (2, 400, 640, 3200, len(sound)):
        onset, out = SpeechOnset(60, 300), b""
        for at in range(0, len(sound), step):
            out += sound[at : at + step] if out else onset.feed(sound[at : at + step])
        begun.append(out)
    assert set(begun) == {begun[0]}
    assert len(begun[0]) > len(hum)
