import numpy as np
import pytest

from fakes.echo_room import Scene, scene, voice
from jarvis_ear.audio.echo_delay import (
    CLEAR,
    FAR_SAMPLES,
    LEAST_DELAY,
    LOOK_SAMPLES,
    MOST_DELAY,
    MOST_DRIFT,
    DelayFinder,
    DriftTracker,
    EchoDelay,
)

HALF = LOOK_SAMPLES // 2


def look(room: Scene, end: int, finder: DelayFinder | None = None) -> EchoDelay | None:
    """Look at the second before ``end``; before the first sample there is silence."""
    finder = finder or DelayFinder()
    before = np.zeros(LOOK_SAMPLES + MOST_DELAY)
    after = np.zeros(-LEAST_DELAY)
    microphone = np.concatenate((before, room.microphone)).astype(np.float32) / 32768
    far = np.concatenate((before, room.far, after)).astype(np.float32) / 32768
    first = end + MOST_DELAY  # of the microphone, behind the silence
    return finder.look(microphone[first:][:LOOK_SAMPLES], far[first - MOST_DELAY :][:FAR_SAMPLES])


@pytest.mark.parametrize("reverb", [0.5, 1.5])
@pytest.mark.parametrize("echo_db", [-6, 0, 12])
@pytest.mark.parametrize("delay_ms", [0, 20, 137, 300, 500, 800])
def test_the_delay_is_found_while_a_person_speaks(delay_ms, echo_db, reverb):
    room = scene(voice(1, 3), delay_ms=delay_ms, echo_db=echo_db, person=voice(2, 3), reverb=reverb)
    found = [look(room, end) for end in (32_000, 40_000, 48_000)]
    assert any(found)
    assert all(each is None or abs(each.samples - delay_ms * 16) < 1 for each in found)


@pytest.mark.parametrize("delay_ms", [-50, 60.4])
def test_the_delay_may_be_below_zero_or_a_fraction(delay_ms):
    far = voice(1, 3)
    late = int(delay_ms * 16)
    room = scene(far, delay_ms=max(0, delay_ms))
    if delay_ms < 0:
        room.microphone[:late] = room.microphone[-late:]
    found = look(room, 32_000)
    assert found is not None
    assert found.samples == pytest.approx(late, abs=0.5)


def test_faint_looks_are_enough_if_they_agree():
    random, finder = np.random.default_rng(5), DelayFinder()
    far = random.normal(0, 0.1, FAR_SAMPLES).astype(np.float32)

    def faint(delay):
        """An echo with a second one, 50 ms later and not much quieter."""
        near = far[MOST_DELAY - delay :][:LOOK_SAMPLES]
        return near + 0.72 * far[MOST_DELAY - delay - 800 :][:LOOK_SAMPLES]

    noise = random.normal(0, 0.1, LOOK_SAMPLES).astype(np.float32)
    looks = [1000, 3000, 3000, 3000, None, 3000, 3000, 3000, 3000]
    found = [finder.look(noise if at is None else faint(at), far) for at in looks]
    assert found == [None] * len(looks)
    last = finder.look(faint(3000), far)
    assert last is not None
    assert last.clearness < CLEAR
    assert last.samples == pytest.approx(3000, abs=0.1)


def test_half_a_second_of_a_reply_is_enough():
    found = look(scene(voice(1, 2), delay_ms=137), 8000 + 137 * 16)
    assert found is not None
    assert abs(found.samples - 137 * 16) < 1
    assert 0 < found.age < HALF


def test_the_gain_is_that_of_the_echo():
    found = look(scene(voice(1, 3), echo_db=-20, reverb=0.01, delay_ms=20), 32_000)
    assert found is not None
    assert found.gain == pytest.approx(0.25 * 10**-2, rel=0.2)


@pytest.mark.parametrize("seed", range(6))
def test_a_person_without_an_echo_is_no_delay(seed):
    speaks = scene(voice(seed, 3), echo_db=-200, person=voice(seed + 50, 3))
    finder = DelayFinder()
    assert [look(speaks, end, finder) for end in range(16_000, 48_000, 4000)] == [None] * 8


def test_silence_and_a_tone_are_no_delay():
    quiet = scene(np.zeros(48_000), person=voice(1, 3))
    assert look(quiet, 32_000) is None
    deaf = scene(voice(1, 3), echo_db=-200, noise=0)
    assert look(deaf, 32_000) is None
    tone = scene(0.1 * np.sin(np.arange(48_000) * 0.2), noise=1e-4)
    assert look(tone, 32_000) is None


@pytest.mark.parametrize("delay", [LEAST_DELAY + 1, 0, MOST_DELAY - 1])
def test_the_ends_of_the_range_are_found(delay):
    random = np.random.default_rng(1)
    far = random.normal(0, 0.1, FAR_SAMPLES).astype(np.float32)
    found = DelayFinder().look(far[MOST_DELAY - delay :][:LOOK_SAMPLES], far)
    assert found is not None
    assert found.samples == pytest.approx(delay, abs=0.1)


@pytest.mark.parametrize("drift", [0.0, 50e-6, 100e-6, -100e-6])
@pytest.mark.parametrize("speaks", [False, True])
def test_the_drift_is_followed(drift, speaks):
    room = scene(
        voice(1, 8), delay_ms=137, drift=drift, person=voice(2, 8) if speaks else None, reverb=0.8
    )
    tracker = DriftTracker()
    for end in range(12_000, 120_000, 8000):
        found = look(room, end)
        if found is not None:
            tracker.add(end - found.age, found.samples)
    assert tracker.drift == pytest.approx(drift, abs=5e-6)
    assert tracker.delay_at(110_000) == pytest.approx(137 * 16 + drift * 110_000, abs=1)


def test_a_known_drift_is_kept_at_the_first_looks():
    for drift, moved in ((50e-6, 5e-6), (None, 60e-6)):
        tracker = DriftTracker(drift)
        tracker.add(0, 100.0)
        tracker.add(8000, 100.0 + (drift or 0) * 8000 + 0.8)
        assert abs(tracker.drift - (drift or 0)) == pytest.approx(moved, abs=50e-6)
        assert (abs(tracker.drift - (drift or 0)) < 10e-6) == (drift is not None)


def test_a_jump_needs_two_looks_that_agree():
    tracker = DriftTracker()
    assert not tracker.is_tracking
    assert tracker.add(0, 1000.0)
    assert tracker.is_tracking
    assert not tracker.add(8000, 1000.1)
    assert not tracker.add(16_000, 3000.0)
    assert not tracker.add(24_000, 5000.0)
    assert tracker.delay_at(24_000) == pytest.approx(1000, abs=1)
    assert tracker.add(32_000, 5000.2)
    assert tracker.delay_at(32_000) == 5000.2
    assert not tracker.add(40_000, 7000.0)
    assert not tracker.add(48_000, 5000.2)
    assert not tracker.add(56_000, 7000.0)  # only one in a row
    assert tracker.delay_at(56_000) == pytest.approx(5000, abs=1)


def test_a_restart_forgets_the_delay_only():
    tracker = DriftTracker()
    for position in range(0, 160_000, 8000):
        tracker.add(position, 500 + 80e-6 * position)
    tracker.restart()
    assert not tracker.is_tracking
    assert tracker.drift == pytest.approx(80e-6, abs=1e-6)
    assert tracker.add(400_000, 900.0)
    assert tracker.delay_at(410_000) == pytest.approx(900.8, abs=0.1)


def test_the_drift_has_limits():
    tracker = DriftTracker()
    for position in range(0, 80_000, 800):
        tracker.add(position, position * 1e-3)
    assert tracker.drift == MOST_DRIFT
