import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.devices.track import KEPT_S, Track

RATE = 1000
SOUND = np.arange(30_000, dtype=np.int16)


def track_of(*chunks: int, written: int) -> Track:
    """A track with chunks of these lengths, of which so much was written."""
    track, at = Track(RATE), 0
    for length in chunks:
        track.begin_chunk()
        track.add(SOUND[at : at + length])
        at += length
    track.advance(written)
    return track


def resumed_at(track: Track, unheard: int = 0) -> int:
    track.cut(unheard)
    track.rewind()
    return int(track.peek(1)[0])


@pytest.mark.parametrize(
    ("chunks", "written", "unheard", "resumed"),
    [
        ((2000, 2000), 2500, 0, 2000),  # within 1 s of the sentence
        ((2000, 2000), 3001, 0, 2701),  # later
        ((2000, 2000), 2500, 600, 1600),  # only the first sentence was heard
        ((2000, 2000), 2000, 0, 2000),  # between two sentences
        ((900,), 800, 0, 0),
        ((2000, 200, 2000), 2300, 0, 2000),  # what follows a short chunk is no sentence
        ((100, 250, 250, 250, 250, 250), 1250, 0, 950),  # raw sound
        ((100, 250, 250), 500, 0, 0),
        ((100,), 50, 60, 0),
    ],
)
def test_a_reply_resumes_at_its_sentence_or_a_little_before(chunks, written, unheard, resumed):
    assert resumed_at(track_of(*chunks, written=written), unheard) == resumed


def test_sound_is_given_in_its_order_and_old_sound_is_forgotten():
    track, given_back = Track(RATE), []
    for start in range(0, 30_000, 500):
        track.add(SOUND[start : start + 500])
        given_back.append(track.peek(700))
        track.advance(len(given_back[-1]))
    assert np.array_equal(np.concatenate(given_back), SOUND)
    assert track.left == 0
    assert len(track._sound) <= KEPT_S * RATE + 500
    assert resumed_at(track) == 29_700


@given(
    st.lists(st.integers(1, 1500), min_size=1, max_size=8),
    st.floats(0, 1),
    st.integers(0, 250),
)
def test_nothing_is_missed_and_at_most_a_second_is_repeated(chunks, share, unheard):
    written = round(share * (sum(chunks) - 1))
    heard = max(0, written - unheard)
    resumed = resumed_at(track_of(*chunks, written=written), unheard)
    assert heard - 1000 <= resumed <= heard
