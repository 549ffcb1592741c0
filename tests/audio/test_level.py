import numpy as np
import pytest

from jarvis_ear.audio.level import SILENCE, Level, frame_levels, level


def pcm(values) -> bytes:
    return np.asarray(values).astype("<i2").tobytes()


def sine(amplitude: int) -> bytes:
    return pcm(np.rint(amplitude * np.sin(2 * np.pi * np.arange(1600) / 160)))


def test_a_full_scale_sine_is_0_dbfs():
    measured = level(sine(32767))
    assert measured.rms == pytest.approx(0, abs=0.01)
    assert measured.peak == pytest.approx(0, abs=0.01)


def test_half_the_amplitude_is_6_db_less():
    assert level(sine(16_384)).rms == pytest.approx(-6.02, abs=0.01)


def test_silence_is_a_number():
    assert level(bytes(640)) == Level(SILENCE, SILENCE, 0)
    assert level(b"") == Level(SILENCE, SILENCE, 0)


def test_the_last_bit_is_above_silence():
    assert SILENCE < level(pcm([0, 1, 0, 0])).peak < -90


def test_the_level_of_each_frame():
    frames = [sine(16_384)[:640], bytes(640), sine(32_000)[:640]]
    found = frame_levels(b"".join(frames) + b"\1\0")
    assert found == pytest.approx([level(frame).rms for frame in frames], abs=0.01)
    assert frame_levels(b"") == []


def test_samples_at_the_ends_of_the_scale_count_as_clipped():
    assert level(pcm([32767, -32768, -32767, 32766, 0])).clipped == 3


def test_the_lowest_value_does_not_overflow():
    assert level(pcm([-32768])).peak == 0
