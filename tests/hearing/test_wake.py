import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.hearing import frames_of
from fakes.recordings import recording, to_pcm
from jarvis_ear import config
from jarvis_ear.hearing.wake import (
    HISS_CUT,
    LEAST_SPEECH,
    LEAST_UNSURE,
    LONGEST_HISS,
    NO_WORD,
    WORD_TAIL,
    WORD_WINDOW,
    WakeDecider,
    WordEnd,
    find_word_end,
    hiss,
)
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, STEP_SAMPLES, Samples, samples

settings = st.builds(
    config.WakeOptions,
    threshold=st.sampled_from([0.3, 0.5, 0.9]),
    patience=st.integers(1, 4),
    refractory_ms=st.sampled_from([0, 80, 200, 1500]),
)
scores = st.lists(st.sampled_from([0.0, 0.2, 0.3, 0.49, 0.5, 0.8, 0.9, 1.0]), max_size=60)


def decider_of(wake: config.WakeOptions) -> WakeDecider:
    return WakeDecider(wake.all_words[0], wake.refractory_ms)


def decide_all(decider: WakeDecider, given_scores: list[float]) -> list[bool]:
    """Ask about one step after the other."""
    return [
        decider.decide(score, Samples(step * STEP_SAMPLES))
        for step, score in enumerate(given_scores, start=1)
    ]


def detected(wake: config.WakeOptions, given_scores: list[float]) -> list[int]:
    """Numbers of the steps that are detections."""
    found = decide_all(decider_of(wake), given_scores)
    return [step for step, is_detection in enumerate(found) if is_detection]


@given(settings, scores)
def test_two_detections_are_apart_and_each_has_enough_steps_in_a_row(wake, given_scores):
    found = detected(wake, given_scores)
    for one, other in itertools.pairwise(found):
        assert (other - one) * STEP_SAMPLES >= samples(wake.refractory_ms)
        assert min(given_scores[one:other]) < wake.threshold  # the score has fallen between them
    for step in found:
        run = given_scores[max(0, step + 1 - wake.patience) : step + 1]
        assert len(run) == wake.patience
        assert min(run) >= wake.threshold


@given(settings, scores)
def test_no_detection_is_missed(wake, given_scores):
    """Every run of enough steps is a detection, unless an earlier one forbids it."""
    found = detected(wake, given_scores)
    for step in range(wake.patience - 1, len(given_scores)):
        if min(given_scores[step + 1 - wake.patience : step + 1]) < wake.threshold:
            continue
        before = [other for other in found if other <= step]
        assert before, f"step {step} should have been a detection"
        last = before[-1]
        refractory = (step - last) * STEP_SAMPLES < samples(wake.refractory_ms)
        assert last == step or refractory or min(given_scores[last : step + 1]) >= wake.threshold


@pytest.mark.parametrize(
    ("options", "given_scores", "expected"),
    [
        ({"threshold": 0.5}, [0.49, 0.5], [1]),  # the threshold itself counts
        ({"refractory_ms": 0}, [0.9] * 100, [0]),  # one long word
        ({"refractory_ms": 0}, [*[0.9] * 100, 0.4, 0.9], [0, 101]),
        ({"refractory_ms": 400}, [0.9, 0.0, 0.9, 0.0, 0.0, 0.0], [0]),
        ({"refractory_ms": 400}, [0.9, 0.0, 0.9, 0.9, 0.9, 0.9], [0, 5]),  # it lasts longer
        ({"patience": 3}, [0.9, 0.9, 0.1, 0.9, 0.9, 0.1], []),
        ({"patience": 3}, [0.9, 0.9, 0.9], [2]),
    ],
)
def test_the_steps_that_are_detections(options, given_scores, expected):
    assert detected(config.WakeOptions(**options), given_scores) == expected


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({}, 0.5),
        ({"strictness": "strict"}, 0.8),
        ({"strictness": "eager"}, 0.3),
        ({"strictness": "eager", "threshold": 0.7}, 0.7),
    ],
)
def test_the_strictness_sets_the_threshold_unless_there_is_one(options, least):
    wake = config.WakeOptions(**options)
    assert detected(wake, [least - 0.01]) == []
    assert detected(wake, [least]) == [0]


@pytest.mark.parametrize("patience", [1, 2])
def test_a_run_does_not_go_on_across_a_reset_of_the_model(patience):
    decider = decider_of(config.WakeOptions(patience=patience, refractory_ms=0))
    assert [decider.decide(0.9, Samples(at)) for at in (1, 2)].count(True) == 1
    decider.restart()
    after = [decider.decide(0.9, Samples(at)) for at in (3, 4)]
    assert after.index(True) == patience - 1


def test_a_reset_does_not_shorten_the_refractory_period():
    decider = decider_of(config.WakeOptions(refractory_ms=1500))
    assert decider.decide(0.9, samples(100))
    decider.restart()
    assert not decider.decide(0.9, samples(1599))
    decider.restart()
    assert decider.decide(0.9, samples(1600))


def test_a_score_that_is_no_number_does_not_wake():
    decider = decider_of(config.WakeOptions())
    assert not decider.decide(float("nan"), samples(1600))
    assert decider.decide(0.9, samples(1680))


# The end of the word

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


@pytest.mark.parametrize(
    ("sounds", "start_ms", "end_ms", "tolerance_ms"),
    [
        ("v200 s100 v200", 200, 300, 10),
        ("v100 s100 v100 s100 v100", 100, 200, 10),  # the first of two
        ("v200 s60 v240", 200, 260, 0),
        ("v200 s40 v20 s40 v200", 200, 300, 10),  # a hole of two windows is bridged
        ("v200 s30 v50 s90 v200", 280, 370, 10),  # a longer hole is not
    ],
)
def test_the_hiss_is_found(sounds, start_ms, end_ms, tolerance_ms):
    parts = [{"v": vowel, "s": s}[sound[0]](int(sound[1:])) for sound in sounds.split()]
    start, end = hiss(pcm(*parts))
    assert near(start, start_ms, tolerance_ms)
    assert near(end, end_ms, tolerance_ms)


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
def test_there_is_no_hiss(sound):
    assert hiss(sound) is None


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


def test_a_hiss_without_an_end_is_cut_to_the_longest_s():
    found = word_end(vowel(100), s(300), vowel(100))  # it runs into the command
    assert near(found.silence_from, 100 + 160 + 100)
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


# The beginning of an utterance

KNOWN = WordEnd(Samples(10_000), Samples(16_000), Samples(14_000), LEAST_SPEECH)
UNKNOWN = WordEnd(None, Samples(16_000), Samples(16_000), LEAST_UNSURE)
PRE_ROLL = samples(500)


@pytest.mark.parametrize(
    ("word", "speech_start", "pre_roll", "first"),
    [
        (KNOWN, 14_000, PRE_ROLL, 10_000),  # in one breath: the cut
        (KNOWN, 14_000, samples(20), 10_000),
        (UNKNOWN, 16_000, samples(20), 16_000 - WORD_WINDOW),  # within the word
        (KNOWN, 40_000, PRE_ROLL, 32_000),  # after a pause
        (UNKNOWN, 40_000, PRE_ROLL, 32_000),
        (KNOWN, 16_000, PRE_ROLL, 10_000),  # the pre-roll stops at the cut
    ],
)
def test_the_first_sample_of_an_utterance(word, speech_start, pre_roll, first):
    assert word.first_sample(Samples(speech_start), pre_roll) == first


def test_in_one_breath_more_speech_is_needed_where_the_end_is_unknown():
    assert UNKNOWN.least(Samples(16_000)) == LEAST_UNSURE
    assert UNKNOWN.least(Samples(16_000 + 2 * FRAME_SAMPLES)) == LEAST_SPEECH
    assert KNOWN.least(Samples(14_000)) == LEAST_SPEECH


@pytest.mark.parametrize("speech_start", [0, 320, 160_000])
def test_speech_that_needs_no_wake_word_has_its_whole_pre_roll(speech_start):
    assert NO_WORD.first_sample(Samples(speech_start), PRE_ROLL) == speech_start - PRE_ROLL
    assert NO_WORD.least(Samples(speech_start)) == LEAST_SPEECH
