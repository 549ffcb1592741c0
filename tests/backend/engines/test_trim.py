"""The spoken part of a recording."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_backend.engines.sphinx_child import MARGIN_SAMPLES, PHRASE_SAMPLES, phrases, spoken_part

FRAME = 320


def loud(ms, level=8000):
    return np.tile(np.array([level, -level], np.int16), ms * 8)


def quiet(ms, level=20):
    return np.random.default_rng(ms).normal(0, level, ms * 16).astype(np.int16)


@pytest.mark.parametrize("level", [0, 20])
@pytest.mark.parametrize("voice", [300, 8000, 32_000])
def test_silence_before_and_after_is_cut_but_for_a_margin(level, voice):
    words = loud(400, voice)
    pcm = np.concatenate([quiet(500, level), words, quiet(800, level)])
    part = spoken_part(pcm)
    assert len(part) == len(words) + 2 * MARGIN_SAMPLES
    assert np.array_equal(part[MARGIN_SAMPLES:-MARGIN_SAMPLES], words)


def test_pauses_inside_are_kept():
    pcm = np.concatenate([quiet(500), loud(200), quiet(700), loud(200), quiet(500)])
    assert len(spoken_part(pcm)) == 1100 * 16 + 2 * MARGIN_SAMPLES


@pytest.mark.parametrize(
    "pcm", [quiet(0), quiet(10), quiet(1000, 0), quiet(1000), quiet(2000, 300)]
)
def test_of_silence_and_noise_nothing_is_left(pcm):
    assert len(spoken_part(pcm)) == 0


@pytest.mark.parametrize("ms", [60, 100, 140])
def test_the_end_of_the_wake_word_at_the_very_start_is_dropped(ms):
    pcm = np.concatenate([loud(ms, 1500), quiet(200), loud(500), quiet(800)])
    assert len(spoken_part(pcm)) == 500 * 16 + 2 * MARGIN_SAMPLES


@pytest.mark.parametrize(
    "start",
    [
        [quiet(300), loud(100), quiet(200)],
        [loud(300), quiet(200)],
        [loud(100), quiet(60)],
    ],
    ids=["begins within the recording", "too long", "no pause after it"],
)
def test_a_short_first_word_is_not_taken_for_it(start):
    pcm = np.concatenate([*start, loud(500), quiet(800)])
    silence = 300 if len(start) == 3 else 0
    whole = len(pcm) - (800 + silence) * 16
    assert len(spoken_part(pcm)) >= whole


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=8))
def test_it_is_always_one_stretch_of_the_recording(pieces):
    pcm = np.concatenate([quiet(0), *(loud(20 * n) if on else quiet(20 * n) for on, n in pieces)])
    part = spoken_part(pcm)
    assert part.tobytes() in pcm.tobytes()


def test_a_command_is_one_phrase():
    pcm = loud(5000)
    assert [len(phrase) for phrase in phrases(pcm)] == [len(pcm)]


def test_long_speech_is_cut_in_a_pause():
    pcm = np.concatenate([loud(5500), quiet(300), loud(6000)])
    first, second = phrases(pcm)
    assert 5500 * 16 < len(first) < 5800 * 16
    assert np.array_equal(np.concatenate([first, second]), pcm)


@given(st.integers(0, 10 * PHRASE_SAMPLES))
def test_phrases_are_bounded_and_lose_nothing(count):
    pcm = np.zeros(count, np.int16)
    lengths = [len(phrase) for phrase in phrases(pcm)]
    assert sum(lengths) == count
    assert max(lengths) <= PHRASE_SAMPLES
