import numpy as np
import pytest

from jarvis_ear.audio.resample import resample
from jarvis_ear.devices.far_end import FarEndTap

RATE = 48_000


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-9000, 9000, count, dtype=np.int16)


class Far:
    def __init__(self, rate: int = RATE):
        self.pieces = []
        self.end = FarEndTap(
            lambda pcm, at: self.pieces.append((np.frombuffer(pcm, "<i2"), at)), rate
        )

    @property
    def sound(self) -> np.ndarray:
        return np.concatenate([pcm for pcm, _ in self.pieces])


@pytest.mark.parametrize("piece", [480, 1111])
def test_every_sample_has_its_time(piece):
    far, sound = Far(), noise(RATE)
    for start in range(0, RATE, piece):
        far.end.wrote(sound[start : start + piece], 50 + start / RATE)
    far.end.pause()
    assert np.array_equal(far.sound, resample(sound, RATE, 16_000))
    at = 0
    for pcm, heard_at in far.pieces:
        assert heard_at == pytest.approx(50 + at / 16_000, abs=1e-6)
        at += len(pcm)


def test_sound_at_16_khz_is_passed_on():
    far = Far(16_000)
    far.end.wrote(noise(100), 7.0)
    assert [at for _, at in far.pieces] == [7.0]
    assert np.array_equal(far.sound, noise(100))


def test_a_gap_begins_anew_at_its_time():
    far = Far()
    far.end.wrote(noise(4800), 50.0)
    far.end.wrote(noise(4800), 53.0)
    far.end.pause()
    far.end.pause()
    late = [(pcm, at) for pcm, at in far.pieces if at >= 53]
    assert late[0][1] == 53.0
    assert len(far.sound) == 3200
    assert sum(len(pcm) for pcm, _ in late) == 1600


def test_a_device_that_is_slower_than_its_rate_is_followed():
    far = Far()
    for number in range(1000):
        far.end.wrote(noise(480), 50 + number * 0.01 * 1.0001)
    last, at = far.pieces[-1]
    before = sum(len(pcm) for pcm, _ in far.pieces[:-1])
    assert at - 50 - before / 16_000 == pytest.approx(0.0001 * 10, abs=1e-4)
    assert len(last)
