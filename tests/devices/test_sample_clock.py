"""The time at which a sample was captured, however late the process reads it."""

import pytest

from fakes.clock import FakeClock
from jarvis_ear.devices.sample_clock import SampleClock, boot_clock
from jarvis_ear.units import SAMPLE_RATE, Samples

BLOCK = SAMPLE_RATE // 25


class Stream:
    """Sound whose first sample was captured at second 1000, read block by block."""

    def __init__(self, *, in_real_time=True):
        self.time = FakeClock(1000.0)
        self.clock = SampleClock(in_real_time=in_real_time, now=self.time.monotonic)
        self.end = 0

    def read(self, blocks=1, late_s=0.0):
        for _ in range(blocks):
            self.end += BLOCK
            self.time.now = max(self.time.now, 1000.0 + self.end / SAMPLE_RATE + late_s)
            self.clock.captured(Samples(self.end))
            self.clock.processed(Samples(self.end))

    def at(self, second):
        return self.clock.captured_at(Samples(round(second * SAMPLE_RATE))) - 1000.0


@pytest.fixture
def stream():
    return Stream()


def test_sound_that_comes_in_time(stream):
    stream.read(250)
    for second in (0.0, 0.5, 5.01, 7.0, 10.0):  # 5.01 is inside a block
        assert stream.at(second) == pytest.approx(second)


@pytest.mark.parametrize(
    ("blocks", "late_s", "positions"),
    [
        pytest.param(25, 0.0, {10.0: 10.0, 11.0: 11.0}, id="read at once from the pipe"),
        pytest.param(100, 45.0, {10.4: 10.4}, id="stopped in the middle of a word"),
        # the pipe was full: the sound of the stop is lost, without a report
        pytest.param(250, 45.0, {18.0: 18.0 + 45.0}, id="sound after the stop"),
    ],
)
def test_the_time_of_sound_around_a_stop_of_45_s(stream, blocks, late_s, positions):
    stream.read(250)
    stream.time.now += 45.0
    stream.read(blocks, late_s=late_s)
    for second, captured_s in positions.items():
        assert stream.at(second) == pytest.approx(captured_s)


def test_the_sound_of_a_slow_card_does_not_grow_older(stream):
    """A converter that is off by 0.1 per mille loses eight seconds in a day."""
    stream.read(250)
    for day_s in range(0, 864_000, 3600):
        stream.end = day_s * SAMPLE_RATE
        stream.time.now = 1000.0 + day_s * 1.0001
        for _ in range(100):
            stream.end += BLOCK
            stream.time.now += 0.04
            stream.clock.captured(Samples(stream.end))
        assert stream.at(stream.end / SAMPLE_RATE) == pytest.approx(
            stream.time.now - 1000.0, abs=0.1
        )


def test_one_late_block_does_not_move_the_clock(stream):
    stream.read(50)
    stream.read(1, late_s=0.5)
    stream.read(50)
    assert stream.at(2.04) == pytest.approx(2.04)


def test_sound_that_was_not_reported_is_captured_now(stream):
    assert stream.at(3.0) == 0.0
    stream.read(25)
    stream.time.now = 1060.0
    assert stream.at(2.0) == 60.0


def test_sound_that_waits_for_the_ear_is_captured_when_it_is_heard():
    stream = Stream(in_real_time=False)
    stream.read(50)
    stream.time.now += 60.0  # an answer was awaited
    stream.read(1)
    assert stream.at(2.0) == pytest.approx(2.0)
    assert stream.at(2.04) == pytest.approx(62.0)


def test_the_clock_is_that_of_the_machines_start():
    before = boot_clock()
    clock = SampleClock()
    clock.captured(Samples(BLOCK))
    assert before <= clock.captured_at(Samples(BLOCK)) <= boot_clock()
