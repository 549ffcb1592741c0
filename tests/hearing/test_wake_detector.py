"""Which steps are looked at twice, and what becomes of them."""

import numpy as np
import pytest

from fakes.hearing import Kind, ScriptedWake, frames_of, written
from jarvis_ear import config
from jarvis_ear.hearing.events import WakeDetected
from jarvis_ear.hearing.wake import WakeJudgement
from jarvis_ear.hearing.wake_detector import WakeDetector
from jarvis_ear.units import STEP_SAMPLES, Samples


class Script(ScriptedWake):
    """A ``WakeModel`` with a list of scores, and one of what a second look finds."""

    def __init__(self, scores: list[float], looks: list[float]) -> None:
        super().__init__()
        self._scores = scores
        self._looks = looks
        self._next = 0
        self._first = 0
        self.looked: list[int] = []
        """Steps of the list that were looked at again."""

    def score(self, pcm: bytes) -> list[float]:
        self._first = self._next
        self._next += len(super().score(pcm))
        return self._scores[self._first : self._next]

    def look_again(self, step: int) -> float:
        self.looked.append(self._first + step)
        return self._looks[self._first + step]


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
        ([0.0, 0.05, 0.09], []),
        ([0.1, 0.0, 0.0], [0, 1]),  # the step after has the cuts on the other side
        ([0.0, 0.3, 0.49], [1, 2]),
        ([0.5, 0.9, 0.0], [2]),  # no second look is needed at the threshold
        ([float("nan"), 0.0, 0.0], []),
    ],
)
def test_a_borderline_step_and_the_one_after_it_are_looked_at_again(scores, looked):
    model = Script(scores, [0.2] * len(scores))
    judge(model, len(scores))
    assert model.looked == looked


def test_the_better_look_counts_at_the_position_of_the_step():
    judged = judge(Script([0.0, 0.2, 0.3, 0.0], [0.0, 0.7, 0.1, 0.4]), 4)
    at = [judgement.at for judgement in judged]
    assert set(np.diff(at)) == {STEP_SAMPLES}
    assert judged == [
        WakeJudgement(at[0], 0.0, None, None),
        WakeJudgement(at[1], 0.7, 0.7, WakeDetected(at[1], 0.7, 0.7)),
        WakeJudgement(at[2], 0.3, 0.1, None),
        WakeJudgement(at[3], 0.4, 0.4, None),
    ]


def test_a_detection_of_the_first_look_has_no_second_one():
    [judgement] = judge(Script([0.6], [0.9]), 1)
    assert judgement.detected == WakeDetected(judgement.at, 0.6)
    assert judgement.second_look is None


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
