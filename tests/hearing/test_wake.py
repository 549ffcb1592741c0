import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear import config
from jarvis_ear.hearing.events import WakeDetected
from jarvis_ear.hearing.wake import WakeDecider
from jarvis_ear.units import STEP_SAMPLES, Samples, samples

settings = st.builds(
    config.WakeOptions,
    threshold=st.sampled_from([0.3, 0.5, 0.9]),
    patience=st.integers(1, 4),
    refractory_ms=st.sampled_from([0, 80, 200, 1500]),
)
scores = st.lists(st.sampled_from([0.0, 0.2, 0.3, 0.49, 0.5, 0.8, 0.9, 1.0]), max_size=60)


def decide_all(decider: WakeDecider, given_scores: list[float]) -> list[WakeDetected | None]:
    """Ask about one step after the other."""
    return [
        decider.decide(score, Samples(step * STEP_SAMPLES))
        for step, score in enumerate(given_scores, start=1)
    ]


def detected(wake: config.WakeOptions, given_scores: list[float]) -> list[int]:
    """Numbers of the steps that are detections."""
    found = decide_all(WakeDecider(wake), given_scores)
    return [step for step, one in enumerate(found) if one is not None]


@given(settings, scores)
def test_detections_keep_the_refractory_period_apart(wake, given_scores):
    for one, other in itertools.pairwise(detected(wake, given_scores)):
        assert (other - one) * STEP_SAMPLES >= samples(wake.refractory_ms)


@given(settings, scores)
def test_between_two_detections_the_score_has_fallen(wake, given_scores):
    for one, other in itertools.pairwise(detected(wake, given_scores)):
        assert min(given_scores[one:other]) < wake.threshold


@given(settings, scores)
def test_a_detection_needs_so_many_steps_in_a_row(wake, given_scores):
    for step in detected(wake, given_scores):
        run = given_scores[max(0, step + 1 - wake.patience) : step + 1]
        assert len(run) == wake.patience
        assert min(run) >= wake.threshold


@given(settings, scores)
def test_nothing_that_counts_is_missed(wake, given_scores):
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


@given(settings, scores)
def test_a_detection_says_where_and_how_sure(wake, given_scores):
    for step, one in enumerate(decide_all(WakeDecider(wake), given_scores)):
        assert one in (None, WakeDetected(Samples((step + 1) * STEP_SAMPLES), given_scores[step]))


def test_the_threshold_itself_counts():
    assert detected(config.WakeOptions(threshold=0.5), [0.49, 0.5]) == [1]


def test_one_long_word_is_one_detection():
    wake = config.WakeOptions(refractory_ms=0)
    assert detected(wake, [0.9] * 100) == [0]
    assert detected(wake, [0.9] * 100 + [0.4] + [0.9]) == [0, 101]


def test_a_word_within_the_refractory_period_counts_when_it_outlasts_it():
    wake = config.WakeOptions(refractory_ms=400)
    assert detected(wake, [0.9, 0.0, 0.9, 0.0, 0.0, 0.0]) == [0]
    assert detected(wake, [0.9, 0.0, 0.9, 0.9, 0.9, 0.9]) == [0, 5]


def test_one_spike_is_not_enough_for_the_patient():
    wake = config.WakeOptions(patience=3)
    assert detected(wake, [0.9, 0.9, 0.1, 0.9, 0.9, 0.1]) == []
    assert detected(wake, [0.9, 0.9, 0.9]) == [2]


@pytest.mark.parametrize("patience", [1, 2])
def test_a_run_does_not_go_on_across_a_reset_of_the_model(patience):
    decider = WakeDecider(config.WakeOptions(patience=patience, refractory_ms=0))
    assert [decider.decide(0.9, Samples(at)) is not None for at in (1, 2)].count(True) == 1
    decider.restart()
    after = [decider.decide(0.9, Samples(at)) is not None for at in (3, 4)]
    assert after.index(True) == patience - 1


def test_a_reset_does_not_shorten_the_refractory_period():
    decider = WakeDecider(config.WakeOptions(refractory_ms=1500))
    assert decider.decide(0.9, samples(100))
    decider.restart()
    assert decider.decide(0.9, samples(1599)) is None
    decider.restart()
    assert decider.decide(0.9, samples(1600))
