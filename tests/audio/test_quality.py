"""What is measured of a recording, on sound whose faults are known."""

import numpy as np
import pytest

from jarvis_ear.audio.level import SILENCE
from jarvis_ear.audio.quality import levels_quality, measure

RATE = 16_000
RANDOM = np.random.default_rng(7)


def noise(dbfs=-60.0, seconds=4):
    """Noise of this level, on the scale where a full-scale sine is 0."""
    return RANDOM.normal(0, 32_768 * 10 ** (dbfs / 20) / np.sqrt(2), RATE * seconds)


def sine(hz, dbfs, count):
    return 32_768 * 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * np.arange(count) / RATE)


def measured(sound, rate=RATE):
    return measure(np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16), rate)


def test_noise_with_a_loud_part_has_a_floor_and_a_distance():
    sound = noise()
    sound[RATE : RATE + RATE // 2] += sine(440, -20, RATE // 2)
    found = measured(sound)
    assert found.noise_floor == pytest.approx(-60, abs=1)
    assert found.loud == pytest.approx(-20, abs=1)
    assert found.snr_db == pytest.approx(40, abs=2)
    assert found.peak == pytest.approx(-20, abs=1)
    assert (found.dropouts, found.hum, found.is_dead, found.clipped_share) == (0, None, False, 0)


@pytest.mark.parametrize("mains_hz", [50, 60])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_the_hum_of_the_mains_is_found_with_its_level_and_its_lines(mains_hz, rate):
    sound = RANDOM.normal(0, 10, 4 * rate)
    times = np.arange(4 * rate) / rate
    for factor, amplitude in ((1, 328), (3, 164)):  # -40 and -46 dBFS
        sound += amplitude * np.sin(2 * np.pi * mains_hz * factor * times)
    hum = measured(sound, rate).hum
    assert hum is not None
    assert (hum.mains_hz, hum.lines_hz) == (mains_hz, (mains_hz, 3 * mains_hz))
    assert hum.level == pytest.approx(-39, abs=0.5)


def test_one_line_a_faint_hum_and_a_short_sound_are_no_hum():
    count = 4 * RATE
    assert measured(noise() + sine(50, -40, count)).hum is None  # a fan
    faint = sine(50, -84, count) + sine(100, -84, count)
    assert measured(noise(-88) + faint).hum is None
    assert measured((noise() + sine(50, -40, count) + sine(100, -40, count))[:8000]).hum is None


def test_speech_in_half_of_the_time_leaves_no_line():
    sound = noise(seconds=8)
    for start in range(0, 8 * RATE, 2 * RATE):
        for harmonic in range(1, 8):
            sound[start : start + RATE // 2] += sine(100 * harmonic, -30, RATE // 2)
    assert measured(sound).hum is None


def test_clipping_and_offset_are_shares():
    sound = noise()
    sound[:64] = 40_000
    found = measured(sound + 655.36)
    assert found.clipped_share == pytest.approx(64 / len(sound))
    assert found.offset == pytest.approx(0.021, abs=0.001)
    assert measured(noise() + 655.36).noise_floor == pytest.approx(-60, abs=1)  # without the offset


@pytest.mark.parametrize("value", [0, 700])
def test_a_channel_that_does_not_move_is_dead(value):
    still = np.full(RATE, value)
    assert measured(still).is_dead
    still[::7] += 1
    assert measured(still).is_dead
    assert not measured(still * 4 + RANDOM.integers(-3, 4, RATE)).is_dead
    empty = measured(still[:0])
    assert (empty.is_dead, empty.rms) == (True, SILENCE)


def test_holes_in_sound_are_dropouts_and_pauses_are_not():
    sound = noise(-30)
    sound[5000:5200] = 0
    sound[20_000:24_000] = 0
    assert measured(sound).dropouts == 2
    sound[30_000:40_000] = 0  # longer than a dropout
    sound[-100:] = 0  # not in the middle
    assert measured(sound).dropouts == 2
    quiet = noise(-70)
    quiet[5000:5200] = 0  # a noise gate in a quiet room
    assert measured(quiet).dropouts == 0
    clipped = noise(-30)
    clipped[5000:5200] = 20_000  # no rest near the middle
    assert measured(clipped).dropouts == 0


def test_sound_shorter_than_a_window_has_one_level():
    found = measured(noise()[:100])
    assert found.noise_floor == found.loud == pytest.approx(-60, abs=2)


def test_levels_of_frames_are_enough_for_floor_and_loud_parts():
    found = levels_quality([-60.0] * 80 + [-20.0] * 20, 0.02)
    assert (found.noise_floor, found.loud, found.peak, found.clipped_share) == (-60, -20, -20, 0.02)
    assert found.rms == pytest.approx(-27, abs=0.1)
    assert (found.hum, found.is_dead) == (None, False)
    assert levels_quality([], 0).is_dead
