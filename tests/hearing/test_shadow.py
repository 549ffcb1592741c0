"""The shadow threshold: where it decides otherwise, and that it wakes nobody."""

import pytest

from fakes.hearing import frames_of
from fakes.recordings import in_room, real_ear, recording
from jarvis_ear import config
from jarvis_ear.hearing.events import Muted, ShadowDiffered, StateChanged, WakeDetected
from jarvis_ear.hearing.shadow import WAIT, ShadowThreshold
from jarvis_ear.hearing.wake import WakeDecider, WakeJudgement
from jarvis_ear.units import FRAME_BYTES, STEP_FRAMES, STEP_SAMPLES, Samples


def differences(scores, *, threshold=0.5, shadow, patience=1):
    """Judge a score for each step, and return what differs."""
    wake = config.WakeOptions(threshold=threshold, shadow_threshold=shadow, patience=patience)
    word, compared = wake.all_words[0], ShadowThreshold(wake)
    decider = WakeDecider(word, wake.refractory_ms)
    found = []
    for step, score in enumerate([*scores, *[0.0] * (WAIT // STEP_SAMPLES + 1)]):
        at = Samples(STEP_SAMPLES * (step + 1))
        for frame in frames_of(bytes(FRAME_BYTES * STEP_FRAMES), at - STEP_SAMPLES):
            found += compared.hear(frame)
        detected = WakeDetected(at, score) if decider.decide(score, at) else None
        compared.judge(WakeJudgement(at, score, None, word, detected))
    return [(each.at // STEP_SAMPLES, each.score, each.woke) for each in found]


@pytest.mark.parametrize(
    ("scores", "options", "expected"),
    [
        ([0.1, 0.4, 0.45, 0.1], {"shadow": 0.35}, [(2, 0.45, False)]),
        ([0.1, 0.6, 0.55, 0.1], {"shadow": 0.7}, [(2, 0.6, True)]),
        ([0.4, 0.6, 0.9, 0.1], {"shadow": 0.35}, []),  # it would have woken earlier
        ([0.6, 0.9, 0.1], {"shadow": 0.8}, []),  # and here later
        ([0.6, 0.6, 0.4], {"shadow": 0.35, "patience": 3}, [(3, 0.4, False)]),
        ([0.9, 0.9, 0.9], {"shadow": 0.5}, []),
        ([0.9, 0.1], {"shadow": 0.0}, []),
        ([float("nan"), 0.4], {"shadow": 0.35}, [(2, 0.4, False)]),
    ],
)
def test_a_difference_is_told_when_it_is_certain(scores, options, expected):
    assert differences(scores, **options) == expected


@pytest.mark.parametrize(
    ("threshold", "shadow", "woke"), [(0.99, 0.5, False), (0.5, 0.99, True), (0.5, 0.3, None)]
)
def test_through_the_whole_ear(threshold, shadow, woke):
    """The word scores 0.92; with the third pair both wake."""
    wake = config.WakeOptions(threshold=threshold, shadow_threshold=shadow)
    ear = real_ear(config.HearingOptions(wake=wake))
    sound = in_room(1000, recording("hey-jarvis"), 3000)
    effects = [each for frame in frames_of(sound.tobytes()) for each in ear.hear(frame)]
    differed = [each for each in effects if isinstance(each, ShadowDiffered)]
    assert [each.woke for each in differed] == ([] if woke is None else [woke])
    assert any(isinstance(each, StateChanged) for each in effects) is (woke is not False)


def test_a_mute_drops_what_was_heard_before_it():
    wake = config.WakeOptions(threshold=0.99, shadow_threshold=0.5)
    ear = real_ear(config.HearingOptions(wake=wake))
    sound = in_room(1000, recording("hey-jarvis"), 200)
    effects = [each for frame in frames_of(sound.tobytes()) for each in ear.hear(frame)]
    ear.tell(Muted())
    quiet = frames_of(in_room(3000).tobytes(), len(sound) // 320 * 320)
    effects += [each for frame in quiet for each in ear.hear(frame)]
    assert not any(isinstance(each, ShadowDiffered) for each in effects)
