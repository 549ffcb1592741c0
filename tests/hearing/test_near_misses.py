"""Near misses: which stretches count, what is measured, and one through the whole ear."""

import numpy as np
import pytest

from fakes.hearing import frames_of
from fakes.recordings import in_room, real_ear, recording, to_pcm
from jarvis_ear import config
from jarvis_ear.config import HEY_JARVIS
from jarvis_ear.hearing.events import (
    MicrophoneFound,
    MicrophoneLost,
    Muted,
    NearMiss,
    State,
    StateChanged,
    TurnOpened,
    Unmuted,
    WakeDetected,
    WordSound,
)
from jarvis_ear.hearing.near_misses import LONGEST_STRETCH, STRETCH_GAP, NearMisses
from jarvis_ear.hearing.wake import WakeJudgement
from jarvis_ear.units import FRAME_SAMPLES, STEP_SAMPLES, Samples, samples

STEP_MS = 80
CALM_S = 1.2


class Stream:
    """Feeds steps of sound, each with its score; keeps what is returned, and when."""

    def __init__(self) -> None:
        self.misses = NearMisses()
        self.now = 0
        self.found: list[tuple[int, NearMiss]] = []

    def step(self, score=0.0, *, state=State.IDLE, wakes=False, pcm=bytes(2 * STEP_SAMPLES)):
        for frame in frames_of(pcm, self.now):
            self.found += [(frame.end, miss) for miss in self.misses.hear(frame)]
        self.now += STEP_SAMPLES
        detected = WakeDetected(Samples(self.now), score) if wakes else None
        judgement = WakeJudgement(Samples(self.now), score, None, HEY_JARVIS, detected)
        self.misses.judge(judgement, state)
        return self.now

    def steps(self, *scores, **how):
        return [self.step(score, **how) for score in scores]

    def calm(self, seconds=CALM_S):
        for _ in range(round(seconds * 1000 / STEP_MS)):
            self.step()

    @property
    def scores(self):
        return [miss.score for _, miss in self.found]


@pytest.fixture
def stream():
    return Stream()


def test_the_best_score_of_a_stretch_is_told_a_second_after_it(stream):
    first, best, last = stream.steps(0.21, 0.41, 0.2)
    stream.calm()
    [(told, miss)] = stream.found
    assert (miss.at, miss.score) == (best, 0.41)
    assert told == last + STRETCH_GAP
    assert first < best


@pytest.mark.parametrize("score", [0.19, 0.0, float("nan")])
def test_a_lower_score_is_nothing(stream, score):
    stream.steps(score, score)
    stream.calm()
    assert stream.found == []


def test_scores_less_than_a_second_apart_are_one_stretch(stream):
    stream.step(0.3)
    stream.calm(0.8)
    stream.step(0.25)
    stream.calm()
    stream.step(0.22)
    stream.calm()
    assert stream.scores == [0.3, 0.22]


def test_a_stretch_that_wakes_is_no_near_miss_whatever_follows(stream):
    stream.steps(0.3, 0.45)
    stream.step(0.7, wakes=True)
    stream.steps(0.9, 0.4, 0.2)
    stream.calm()
    assert stream.found == []
    stream.step(0.3)
    stream.calm()
    assert stream.scores == [0.3]


@pytest.mark.parametrize("state", [State.LISTENING, State.CAPTURING, State.FOLLOW_UP])
def test_while_the_ear_listens_no_wake_word_is_needed(stream, state):
    stream.steps(0.3, 0.4, state=state)
    stream.step(0.45)
    stream.calm()
    assert stream.found == []


@pytest.mark.parametrize("state", [State.THINKING, State.SPEAKING])
def test_over_a_reply_it_is_needed(stream, state):
    stream.step(0.3, state=state)
    stream.calm()
    assert stream.scores == [0.3]


def test_a_stretch_that_does_not_end_is_told_in_parts(stream):
    began = stream.step(0.3)
    while stream.now < 2.5 * LONGEST_STRETCH:
        stream.step(0.25)
    stream.calm()
    assert stream.scores == [0.3, 0.25, 0.25]
    assert stream.found[0][0] == began + LONGEST_STRETCH


def test_a_mute_drops_what_came_before(stream):
    stream.step(0.3, pcm=np.full(STEP_SAMPLES, 32767, "<i2").tobytes())
    stream.misses.forget()
    stream.calm()
    assert stream.found == []
    assert stream.misses.measured(WakeDetected(Samples(0), 0.5)).sound.clipped == 0


def test_level_noise_floor_and_clipping_are_measured(stream):
    quiet = np.full(STEP_SAMPLES, 33, "<i2").tobytes()  # -56.9 dBFS, of a sine
    loud = np.full(STEP_SAMPLES, 3277, "<i2").tobytes()  # 40 dB more
    for _ in range(100):
        stream.step(pcm=quiet)
    stream.steps(0.3, 0.3, pcm=loud)
    stream.calm()
    [(_, miss)] = stream.found
    assert miss.sound.noise_floor == pytest.approx(-56.9, abs=0.1)
    assert miss.sound.level == pytest.approx(-17.0, abs=3)  # of 100 ms, 80 of them loud
    assert miss.sound.clipped == 0
    stream.step(pcm=np.full(STEP_SAMPLES, 32767, "<i2").tobytes())
    detected = stream.misses.measured(WakeDetected(Samples(5), 0.5))
    assert detected.sound.clipped == pytest.approx(80 / 1500, rel=0.01)
    assert (detected.at, detected.score) == (5, 0.5)


def test_silence_has_a_finite_level():
    sound = NearMisses().measured(WakeDetected(Samples(0), 0.5)).sound
    assert isinstance(sound, WordSound)
    assert -120 <= sound.level <= -80


def heard(ear, sound):
    return [effect for frame in frames_of(sound.tobytes(), ear.now) for effect in ear.hear(frame)]


NOISY = in_room(2000, recording("hey-jarvis"), 2500, floor_rms=4000)
"""The wake word in noise that hides it: the models that are shipped score it about 0.4."""


def strict(threshold=0.9):
    return config.HearingOptions(wake=config.WakeOptions(threshold=threshold))


def test_a_wake_word_that_is_hardly_heard_is_a_near_miss():
    effects = heard(real_ear(strict()), NOISY)
    assert not any(isinstance(effect, TurnOpened) for effect in effects)
    [miss] = [effect for effect in effects if isinstance(effect, NearMiss)]
    assert 0.2 <= miss.score < 0.9
    assert samples(2000) < miss.at < len(NOISY)
    assert miss.sound.level - miss.sound.noise_floor < 15


def test_a_wake_carries_how_loud_it_was():
    sound = to_pcm(in_room(2000, recording("hey-jarvis"), 500) * 0.1)
    [opened] = [each for each in heard(real_ear(), sound) if isinstance(each, TurnOpened)]
    assert opened.sound.level == pytest.approx(-30, abs=2)
    assert opened.sound.noise_floor < -80


@pytest.mark.parametrize(
    ("ends", "begins"), [(Muted(), Unmuted()), (MicrophoneLost(), MicrophoneFound())]
)
def test_a_mute_in_the_middle_of_a_near_miss_tells_nothing(ends, begins):
    ear = real_ear(strict())
    word_ends = samples(2000) + len(recording("hey-jarvis"))
    before = NOISY[: word_ends // FRAME_SAMPLES * FRAME_SAMPLES]
    assert not any(isinstance(effect, NearMiss) for effect in heard(ear, before))
    assert any(isinstance(effect, StateChanged) for effect in ear.tell(ends))
    ear.tell(begins)
    after = in_room(3000)
    assert not any(isinstance(effect, NearMiss) for effect in heard(ear, after))
