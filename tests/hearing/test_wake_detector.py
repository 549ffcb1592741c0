"""Which steps are looked at twice, and what becomes of them."""

import math

import numpy as np
import pytest

from fakes.hearing import Kind, ScriptedWake, frames_of, written
from jarvis_ear import config
from jarvis_ear.hearing.events import WakeDetected
from jarvis_ear.hearing.wake import (
    VERIFIER_SLOPE,
    VERIFIER_ZERO,
    SecondLook,
    WakeJudgement,
    judged_score,
)
from jarvis_ear.hearing.wake_detector import NEAR_ZERO, WakeDetector
from jarvis_ear.units import STEP_SAMPLES, Samples

WORD = config.WakeOptions().all_words[0]


class Script(ScriptedWake):
    """A ``WakeModel`` with a list of scores, and one of what a second look finds."""

    def __init__(
        self, scores: list[float], looks: list[float], verifier: list[float] | None = None
    ) -> None:
        super().__init__()
        self._scores = scores
        self._looks = looks
        self._verifier = verifier
        self._next = 0
        self._first = 0
        self.looked: list[int] = []
        """Steps of the list that were looked at again."""

    def score(self, pcm: bytes) -> list[float]:
        self._first = self._next
        self._next += len(super().score(pcm))
        return self._scores[self._first : self._next]

    def look_again(self, step: int, word: int) -> SecondLook:
        assert word == 0
        place = self._first + step
        self.looked.append(place)
        verifier = None if self._verifier is None else self._verifier[place]
        return SecondLook(self._looks[place], verifier)


def judge(
    model: Script, steps: int, *, may_wait: bool = False, wake: config.WakeOptions | None = None
) -> list[WakeJudgement]:
    """Judge that many steps of one stretch of speech."""
    hearing = config.HearingOptions(
        gate=config.GateOptions(lookback_ms=80), wake=wake or config.WakeOptions()
    )
    detector, judged = WakeDetector(hearing, model), list[WakeJudgement]()
    for frame in frames_of(written(Kind.VOICE, 80 * steps + 60)):  # the gate opens with frame 1
        judged += detector.hear(frame, speech=True, may_wait=may_wait)
    return [*judged, *detector.flush()]


@pytest.mark.parametrize(
    ("scores", "looked"),
    [
        ([0.0, 0.01, 0.019], []),
        ([0.02, 0.0, 0.0], [0, 1]),  # the step after has the cuts on the other side
        ([0.0, 0.3, 0.9], [1, 2]),
        ([float("nan"), 0.0, 0.0], []),
    ],
)
def test_a_step_that_resembles_the_word_and_the_one_after_it_are_looked_at_again(scores, looked):
    model = Script(scores, [0.2] * len(scores))
    judge(model, len(scores))
    assert model.looked == looked


def test_the_better_look_counts_at_the_position_of_the_step():
    judged = judge(Script([0.0, 0.2, 0.6, 0.0], [0.0, 0.7, 0.1, 0.4]), 4)
    at = [judgement.at for judgement in judged]
    assert set(np.diff(at)) == {STEP_SAMPLES}
    assert judged == [
        WakeJudgement(at[0], 0.0, None, WORD, None),
        WakeJudgement(
            at[1], 0.7, SecondLook(0.7, None), WORD, WakeDetected(at[1], 0.7, 0.7, word=WORD)
        ),
        WakeJudgement(at[2], 0.6, SecondLook(0.1, None), WORD, None),
        WakeJudgement(at[3], 0.4, SecondLook(0.4, None), WORD, None),
    ]


@pytest.mark.parametrize(
    ("score", "look", "verifier", "expected"),
    [
        (0.3, 0.4, VERIFIER_ZERO, 0.4),
        (0.5, 0.4, VERIFIER_ZERO + VERIFIER_SLOPE, 1 / (1 + math.exp(-1))),
        (0.9, 0.4, -9.0, 0.0081),
        (0.04, 0.0, 8.0, 0.7605),
        (1.0, 0.0, -2.0, 0.6482),  # the surest score is still doubted
        (0.0, 0.0, 20.0, 0.6943),
        (0.3, 0.4, None, 0.4),
        (0.3, float("nan"), float("nan"), 0.3),
    ],
)
def test_the_verifier_raises_and_lowers_the_score(score, look, verifier, expected):
    found = judged_score(score, SecondLook(look, verifier))
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_detection_carries_all_scores():
    [judgement] = judge(Script([0.3], [0.6], [2.5]), 1)
    fused = judged_score(0.3, SecondLook(0.6, 2.5))
    assert judgement.detected == WakeDetected(judgement.at, fused, 0.6, 2.5, word=WORD)
    [judgement] = judge(Script([0.9], [0.9], [-5.0]), 1)
    assert judgement.detected is None


@pytest.mark.parametrize(
    ("scores", "verifier", "wakes", "step"),
    [
        ([0.3, 0.9, 0.9, 0.9], [6.0, 7.0, 8.0, 8.0], 1, 1),  # its own score decides
        ([0.3, 0.3, 0.9, 0.9], [6.0, 7.0, 8.0, 8.0], 2, 2),
        ([0.3, 0.1, 0.1, 0.0], [6.0, -2.0, -9.0, -9.0], 2, 0),  # it does not rise
        ([0.3, 0.0, 0.0, 0.0], [6.0, -2.0, -9.0, -9.0], 2, 0),
        ([0.9, 0.3, 0.0, 0.0], [6.0, 6.0, 6.0, 6.0], 0, 0),  # it is sure at once
    ],
)
def test_a_word_that_is_still_going_on_wakes_two_steps_later(scores, verifier, wakes, step):
    judged = judge(Script(scores, [0.0] * 4, verifier), 4)
    [detected] = [judgement.detected for judgement in judged if judgement.detected]
    assert judged[wakes].detected is detected
    assert detected.score == judged_score(scores[step], SecondLook(0.0, verifier[step]))
    assert detected.verifier == verifier[step]


def test_a_step_that_is_doubted_keeps_the_sound_live():
    model = Script([0.9, 0.9, 0.9], [0.9] * 3, [-12.0] * 3)
    detector = WakeDetector(config.HearingOptions(gate=config.GateOptions(lookback_ms=80)), model)
    for frame in frames_of(written(Kind.VOICE, 160)):
        detector.hear(frame, speech=True, may_wait=True)
    assert not detector.is_near
    detector.flush()
    assert detector.score < NEAR_ZERO
    assert detector.is_near


def test_steps_that_waited_are_judged_as_those_that_did_not():
    scores, looks = [0.0, 0.0, 0.2, 0.0, 0.0, 0.3, 0.0], [0.1, 0.2, 0.3, 0.6, 0.4, 0.8, 0.9]
    one_by_one, together = Script(scores, looks), Script(scores, looks)
    assert judge(one_by_one, 7) == judge(together, 7, may_wait=True)
    assert one_by_one.looked == together.looked == [2, 3, 5, 6]


def test_the_patience_counts_the_better_look():
    wake = config.WakeOptions(patience=2)
    judged = judge(Script([0.2, 0.6, 0.0], [0.6, 0.0, 0.0]), 3, wake=wake)
    assert [judgement.detected is not None for judgement in judged] == [False, True, False]


def test_a_failed_second_look_leaves_the_first():
    [judgement] = judge(Script([0.2], [float("nan")]), 1)
    assert (judgement.score, judgement.detected) == (0.2, None)


def test_a_new_stretch_does_not_continue_a_borderline_step():
    model = Script([0.2, 0.0], [0.0, 0.9])
    detector = WakeDetector(config.HearingOptions(gate=config.GateOptions(lookback_ms=80)), model)
    voice = written(Kind.VOICE, 80)
    for start in (0, 10 * STEP_SAMPLES):
        for frame in frames_of(voice, start):
            detector.hear(frame, speech=frame.start >= start + 960, may_wait=False)
        detector.reset()
    assert model.looked == [0]
    assert detector.score == 0.0
    assert detector.flush() == ()
    detector.prove(Samples(0))


class TwoWords(Script):
    """Two words: the second one has scores of its own."""

    def __init__(self, scores: list[float], others: list[float]) -> None:
        super().__init__(scores, scores)
        self._others = others

    def score_word(self, word: int) -> list[float]:
        assert word == 1
        return self._others[self._first : self._next]

    def look_again(self, step: int, word: int) -> SecondLook:
        scores = (self._scores, self._others)[word]
        return SecondLook(scores[self._first + step], None)


TWO = config.WakeOptions(
    words=[{"model": "alexa", "threshold": 0.6}, {"model": "hey_mycroft", "patience": 2}],
    refractory_ms=320,
)


@pytest.mark.parametrize("may_wait", [False, True])
def test_each_of_several_words_has_its_own_threshold_and_patience(may_wait):
    first = [0.5, 0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    other = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.9]
    judged = judge(TwoWords(first, other), 8, may_wait=may_wait, wake=TWO)
    found = {n: each.detected for n, each in enumerate(judged) if each.detected}
    assert [(n, each.word.model, each.score) for n, each in found.items()] == [
        (1, "alexa", 0.7),
        (7, "hey_mycroft", 0.9),
    ]
    assert judged[6].word.model == "hey_mycroft"  # the likelier one, though it is not decided yet


def test_one_word_that_two_models_know_is_one_detection():
    first = [0.0, 0.7, 0.7, 0.0, 0.0, 0.0]
    other = [0.0, 0.9, 0.9, 0.9, 0.0, 0.0]
    judged = judge(TwoWords(first, other), 6, wake=TWO)
    assert [each.detected.word.model for each in judged if each.detected] == ["alexa"]
    both = TWO.model_copy(
        update={"words": tuple(w.model_copy(update={"patience": 1}) for w in TWO.words)}
    )
    (one,) = [
        each.detected for each in judge(TwoWords(first, other), 6, wake=both) if each.detected
    ]
    assert (one.word.model, one.score) == ("hey_mycroft", 0.9)


def test_a_word_without_a_valid_score_is_no_proof_of_the_model():
    model = TwoWords([0.0] * 4, [math.nan] * 4)
    detector = WakeDetector(config.HearingOptions(wake=TWO), model)
    for frame in frames_of(written(Kind.VOICE, 200)):
        detector.hear(frame, speech=True, may_wait=False)
    assert detector.proofs == 0
