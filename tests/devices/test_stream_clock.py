import itertools

import numpy as np
import pytest

from jarvis_ear.audio.frames import Framer
from jarvis_ear.audio.resample import resample
from jarvis_ear.devices.microphone import StreamClock


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(7).integers(-9000, 9000, count, dtype=np.int16)


def push(stamper: StreamClock, pcm: np.ndarray, piece: int = 1920) -> list:
    blocks = [stamper.push(pcm[at : at + piece]) for at in range(0, len(pcm), piece)]
    return [block for block in blocks if block is not None]


def sound(blocks) -> np.ndarray:
    return np.frombuffer(b"".join(block.data for block in blocks), "<i2")


def test_at_16_khz_sound_passes_unchanged():
    blocks = push(StreamClock(), noise(16_000))
    assert np.array_equal(sound(blocks), noise(16_000))
    assert all(a.end == b.start for a, b in itertools.pairwise(blocks))


def test_another_rate_is_converted_as_a_whole():
    stamper = StreamClock()
    stamper.begin(48_000, 0)
    blocks = push(stamper, noise(48_000))
    whole = resample(noise(48_000), 48_000, 16_000)
    assert np.array_equal(sound(blocks), whole[: blocks[-1].end])
    assert blocks[0].start == 0
    assert blocks[-1].end > 14_000


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_after_a_gap_sound_stands_where_it_belongs(rate):
    stamper = StreamClock()
    stamper.begin(rate, 0)
    before = push(stamper, noise(rate))
    stamper.skip(rate // 2)
    after = push(stamper, noise(rate))
    assert before[-1].end <= 16_000
    assert after[0].start == 24_000
    framer = Framer()
    for block in before + after:
        framer.push(block)
    assert framer.gaps == 1


def test_a_new_device_begins_after_the_time_without():
    stamper = StreamClock()
    push(stamper, noise(16_000))
    stamper.begin(48_000, 2.5)
    assert push(stamper, noise(48_000))[0].start == 56_000


def test_many_small_gaps_do_not_drift():
    stamper = StreamClock()
    stamper.begin(44_100, 0)
    for _ in range(100):
        push(stamper, noise(4000))
        stamper.skip(410)
    total = 100 * 4410 * 16_000 / 44_100
    assert abs(push(stamper, noise(4410))[0].start - total) <= 50  # half a sample per gap at most
