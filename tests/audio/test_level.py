import numpy as np
import pytest

from jarvis_ear.audio.level import SILENCE, WINDOW, Level, NoiseFloor, frame_levels, level
from jarvis_ear.units import Dbfs


def pcm(values) -> bytes:
    return np.asarray(values).astype("<i2").tobytes()


def sine(amplitude: int) -> bytes:
    return pcm(np.rint(amplitude * np.sin(2 * np.pi * np.arange(1600) / 160)))


def test_a_full_scale_sine_is_0_dbfs_and_half_the_amplitude_6_db_less():
    measured = level(sine(32767))
    assert measured.rms == pytest.approx(0, abs=0.01)
    assert measured.peak == pytest.approx(0, abs=0.01)
    assert level(sine(16_384)).rms == pytest.approx(-6.02, abs=0.01)


def test_the_levels_at_the_ends_of_the_scale():
    assert level(bytes(640)) == Level(SILENCE, SILENCE, 0)
    assert level(b"") == Level(SILENCE, SILENCE, 0)
    assert SILENCE < level(pcm([0, 1, 0, 0])).peak < -90
    assert level(pcm([-32768])).peak == 0
    assert level(pcm([32767, -32768, -32767, 32766, 0])).clipped == 3


def test_the_level_of_each_frame():
    frames = [sine(16_384)[:640], bytes(640), sine(32_000)[:640]]
    found = frame_levels(b"".join(frames) + b"\1\0")
    assert found == pytest.approx([level(frame).rms for frame in frames], abs=0.01)
    assert frame_levels(b"") == []


@pytest.mark.parametrize(
    ("levels", "floor"),
    [
        ([], SILENCE),
        ([-60.0, -20.0, -20.0, -20.0] * 50, -60.0),  # the room between the words
        ([-100.0] + [-55.0] * 50, -55.0),  # a moment of nothing is not the room
        ([-70.0] * 100 + [-40.0] * WINDOW, -40.0),  # a room that became louder half a minute ago
    ],
)
def test_the_noise_floor(levels, floor):
    noise = NoiseFloor()
    for one in levels:
        noise.hear(Dbfs(one))
    assert noise.level == floor
