import numpy as np
import pytest

from fakes.hearing import frames_of
from fakes.recordings import recording, to_pcm
from jarvis_ear.hearing.wake import (
    HISS_CUT,
    LEAST_SPEECH,
    LEAST_UNSURE,
    LONGEST_HISS,
    NO_WORD,
    WORD_TAIL,
    WORD_WINDOW,
    WordEnd,
    find_word_end,
    hiss,
)
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, Samples, samples

RANDOM = np.random.default_rng(3)


def vowel(duration_ms: int, level: float = 4000) -> np.ndarray:
    """A voiced sound: 120 Hz and its harmonics, falling off."""
    time = np.arange(samples(duration_ms)) / SAMPLE_RATE
    return sum(level / n * np.sin(2 * np.pi * 120 * n * time) for n in range(1, 15))


def s(duration_ms: int, level: float = 1000) -> np.ndarray:
    """Noise with nothing below 4 kHz, as an s is."""
    spectrum = np.fft.rfft(RANDOM.normal(0, level, samples(duration_ms)))
    spectrum[np.fft.rfftfreq(samples(duration_ms), 1 / SAMPLE_RATE) < 4000] = 0
    return np.fft.irfft(spectrum, samples(duration_ms))


def quiet(duration_ms: int) -> np.ndarray:
    return RANDOM.normal(0, 8, samples(duration_ms))


def pcm(*parts: np.ndarray) -> bytes:
    return to_pcm(np.concatenate(parts)).tobytes()


def near(value: int, expected_ms: int, tolerance_ms: int = 10) -> bool:
    return abs(value - samples(expected_ms)) <= samples(tolerance_ms)


# hiss


def test_it_finds_the_s_between_two_vowels():
    start, end = hiss(pcm(vowel(200), s(100), vowel(200)))
    assert near(start, 200)
    assert near(end, 300)


def test_it_finds_the_first_of_two():
    start, _ = hiss(pcm(vowel(100), s(100), vowel(100), s(100), vowel(100)))
    assert near(start, 100)


def test_sixty_milliseconds_are_enough():
    start, end = hiss(pcm(vowel(200), s(60), vowel(240)))
    assert (start, end) == (samples(200), samples(260))


def test_a_hole_of_two_windows_is_bridged():
    start, end = hiss(pcm(vowel(200), s(40), vowel(20), s(40), vowel(200)))
    assert near(start, 200)
    assert near(end, 300)


def test_a_longer_hole_is_not():
    start, end = hiss(pcm(vowel(200), s(30), vowel(50), s(90), vowel(200)))
    assert near(start, 280)
    assert near(end, 370)


@pytest.mark.parametrize(
    "sound",
    [
        pcm(vowel(500)),
        pcm(vowel(200), s(40), vowel(260)),  # the burst of a t
        pcm(vowel(400), s(100, level=10)),  # the room
        pcm(s(50)),  # too short to hold one
        b"",
        bytes(32_000),
    ],
)
def test_nothing_hisses_here(sound):
    assert hiss(sound) is None


# find_word_end


def word_end(*parts: np.ndarray, first: int = 0) -> WordEnd:
    sound = pcm(*parts)
    sound = sound[: len(sound) // 640 * 640]
    return find_word_end(frames_of(sound, first), Samples(first + len(sound) // 2))


def test_the_cut_is_inside_the_hiss_and_silence_begins_after_it():
    found = word_end(vowel(200), s(100), quiet(200), first=16_000)
    assert near(found.cut, 1200 + 60)
    assert near(found.silence_from, 1300 + 100)
    assert found.at == samples(1500)
    assert found.least_speech == LEAST_SPEECH


def test_without_a_hiss_nothing_is_cut():
    found = word_end(vowel(400), quiet(100), first=16_000)
    assert found == WordEnd(None, samples(1500), samples(1500), LEAST_UNSURE)


def test_a_hiss_that_runs_into_the_command_is_taken_to_last_as_long_as_an_s():
    found = word_end(vowel(100), s(300), vowel(100))
    assert near(found.silence_from, 100 + 160 + 100)


def test_a_hiss_that_has_not_ended_is_taken_to_last_as_long_as_an_s():
    found = word_end(vowel(400), s(100))
    assert near(found.cut, 460)
    assert found.silence_from == found.cut - HISS_CUT + LONGEST_HISS + WORD_TAIL
    assert near(found.silence_from, 400 + 160 + 100)


def test_lost_sound_does_not_move_the_cut():
    before = frames_of(pcm(vowel(100)), 0)
    after = frames_of(pcm(vowel(100), s(100), quiet(100)), samples(1000))
    found = find_word_end([*before, *after], after[-1].end)
    assert near(found.cut, 1160)
    assert near(found.silence_from, 1300)


def test_the_s_of_jarvis_is_found_where_it_is():
    word = recording("hey-jarvis")
    start, end = hiss(word[-samples(500) :].tobytes())
    heard = word[len(word) - samples(500) + start : len(word) - samples(500) + end]
    spectrum = np.abs(np.fft.rfft(heard)) ** 2
    high = spectrum[len(spectrum) * 3500 // 8000 :].sum() / spectrum.sum()
    assert high > 0.8


# where an utterance begins

KNOWN = WordEnd(Samples(10_000), Samples(16_000), Samples(14_000), LEAST_SPEECH)
UNKNOWN = WordEnd(None, Samples(16_000), Samples(16_000), LEAST_UNSURE)
PRE_ROLL = samples(500)


def test_in_one_breath_it_begins_at_the_cut():
    assert KNOWN.first_sample(Samples(14_000), PRE_ROLL) == 10_000
    assert KNOWN.first_sample(Samples(14_000), samples(20)) == 10_000


def test_in_one_breath_behind_an_unknown_end_it_begins_within_the_word():
    assert UNKNOWN.first_sample(Samples(16_000), samples(20)) == 16_000 - WORD_WINDOW


def test_after_a_pause_it_begins_with_its_pre_roll():
    assert KNOWN.first_sample(Samples(40_000), PRE_ROLL) == 32_000
    assert UNKNOWN.first_sample(Samples(40_000), PRE_ROLL) == 32_000


def test_the_pre_roll_of_an_early_command_stops_at_the_cut():
    assert KNOWN.first_sample(Samples(16_000), PRE_ROLL) == 10_000


def test_in_one_breath_more_speech_is_needed_where_the_end_is_unknown():
    assert UNKNOWN.least(Samples(16_000)) == LEAST_UNSURE
    assert UNKNOWN.least(Samples(16_000 + 2 * FRAME_SAMPLES)) == LEAST_SPEECH
    assert KNOWN.least(Samples(14_000)) == LEAST_SPEECH


@pytest.mark.parametrize("speech_start", [0, 320, 160_000])
def test_speech_that_needs_no_wake_word_has_its_whole_pre_roll(speech_start):
    assert NO_WORD.first_sample(Samples(speech_start), PRE_ROLL) == speech_start - PRE_ROLL
    assert NO_WORD.least(Samples(speech_start)) == LEAST_SPEECH
