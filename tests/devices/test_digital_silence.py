import numpy as np
import pytest

from jarvis_ear.devices.sound_faults import DigitalSilence

SECOND = bytes(32_000)
DEAD, ALIVE = True, False


class Heard:
    """A verdict on PCM16; ``hear`` returns its changes."""

    def __init__(self):
        self.silence = DigitalSilence()

    def hear(self, pcm: bytes, rate: int = 16_000) -> bool | None:
        changed = self.silence.hear(np.frombuffer(pcm, "<i2"), rate)
        return self.silence.is_dead if changed else None


def test_ten_seconds_of_zeros_are_said_once():
    silence = Heard()
    assert [silence.hear(SECOND) for _ in range(9)] == [None] * 9
    assert silence.hear(SECOND) is DEAD
    assert silence.hear(SECOND) is None


def test_one_bit_is_life():
    silence = Heard()
    for _ in range(9):
        silence.hear(SECOND)
    assert silence.hear(bytes(31_999) + b"\1") is None
    assert [silence.hear(SECOND) for _ in range(9)] == [None] * 9


def test_life_after_silence_is_said_once():
    silence = Heard()
    for _ in range(12):
        silence.hear(SECOND)
    assert silence.hear(b"\1\0") is ALIVE
    assert silence.hear(b"\1\0") is None


def test_any_value_that_never_changes_is_as_dead():
    silence = Heard()
    assert [silence.hear(b"\7\0" * 16_000) for _ in range(10)] == [None] * 9 + [DEAD]
    assert silence.silence.what == "the value 7"
    assert silence.hear(SECOND) is ALIVE
    assert [silence.hear(SECOND) for _ in range(9)] == [None] * 8 + [DEAD]


def test_no_sound_says_nothing():
    assert Heard().hear(b"") is None


def flicker(low: int, high: int) -> bytes:
    """A second in which the samples go up and down between two values."""
    return np.tile(np.array([low, high], "<i2"), 8000).tobytes()


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1), (499, 501)])
def test_a_minute_of_the_last_bit_is_a_dead_line(low, high):
    silence = Heard()
    told = [silence.hear(flicker(low, high)) for _ in range(61)]
    assert told == [None] * 59 + [DEAD, None]
    assert silence.silence.what == f"values from {low} to {high}"
    assert silence.hear(b"\x40\0\xc0\xff") is ALIVE


def test_a_bit_more_than_the_last_one_is_a_quiet_room():
    silence = Heard()
    assert [silence.hear(flicker(-2, 1)) for _ in range(120)] == [None] * 120


def test_a_muted_line_that_flickers_now_and_then_stays_dead_after_a_minute():
    silence = Heard()
    told = [silence.hear(flicker(0, 1) if second % 15 == 14 else SECOND) for second in range(90)]
    assert told[9] is told[24] is DEAD
    assert told[14] is told[29] is ALIVE
    assert silence.silence.is_dead
    assert told[60:] == [None] * 30


def test_time_counts_whatever_the_rate():
    silence = Heard()
    assert [silence.hear(bytes(96_000), 48_000) for _ in range(10)] == [None] * 9 + [DEAD]
