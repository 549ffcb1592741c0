import math

import numpy as np
import pytest

from jarvis_ear.audio.filters import Conditioner
from jarvis_ear.audio.frames import Frame
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, Samples


def frames(pcm: np.ndarray) -> list[Frame]:
    return [
        Frame(Samples(at), pcm[at : at + FRAME_SAMPLES].astype("<i2").tobytes())
        for at in range(0, len(pcm), FRAME_SAMPLES)
    ]


def through(conditioner: Conditioner, pcm: np.ndarray) -> np.ndarray:
    heard = [conditioner.push(frame) for frame in frames(pcm)]
    assert [frame.start for frame in heard] == list(range(0, len(pcm), FRAME_SAMPLES))
    return np.frombuffer(b"".join(frame.pcm for frame in heard), "<i2")


def tone(frequency: float, amplitude: int = 10_000, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(SAMPLE_RATE * seconds)) / SAMPLE_RATE
    return np.rint(amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def change_db(before: np.ndarray, after: np.ndarray) -> float:
    settled = slice(len(before) // 2, None)
    energy = [float(np.mean(pcm[settled].astype(float) ** 2)) for pcm in (before, after)]
    return 10 * math.log10(energy[1] / energy[0])


def sample_by_sample(edge_hz: int, pcm: np.ndarray) -> np.ndarray:
    """The same filter as a plain recursion, from the analogue one by the bilinear transform."""
    warped = math.tan(math.pi * edge_hz / SAMPLE_RATE)
    norm = 1 / (1 + math.sqrt(2) * warped + warped**2)
    feedback = (2 * norm * (warped**2 - 1), norm * (1 - math.sqrt(2) * warped + warped**2))
    out, x1, x2, y1, y2 = [], 0.0, 0.0, 0.0, 0.0
    for x in pcm.astype(float):
        y = norm * (x - 2 * x1 + x2) - feedback[0] * y1 - feedback[1] * y2
        x1, x2, y1, y2 = x, x1, y, y1
        out.append(y)
    return np.array(out)


def test_a_conditioner_without_options_changes_nothing():
    conditioner = Conditioner(0, 0.0)
    conditioner.reset()
    frame = frames(tone(440))[0]
    assert conditioner.push(frame) is frame


@pytest.mark.parametrize("edge_hz", [1, 50, 100, 300, 500])
def test_the_filter_is_that_of_its_description(edge_hz):
    pcm = np.random.default_rng(edge_hz).integers(-8000, 8000, 6400, dtype=np.int16)
    error = through(Conditioner(edge_hz, 0.0), pcm) - sample_by_sample(edge_hz, pcm)
    assert np.abs(error).max() <= 0.51


@pytest.mark.parametrize(
    ("frequency", "least", "most"),
    [(25, -30, -23), (50, -13, -12), (100, -3.2, -2.8), (300, -0.1, 0.1), (3000, -0.1, 0.1)],
)
def test_hum_goes_and_voices_stay(frequency, least, most):
    before = tone(frequency)
    assert least < change_db(before, through(Conditioner(100, 0.0), before)) < most


def test_a_constant_is_filtered_out():
    after = through(Conditioner(100, 0.0), np.full(16_000, 5000, np.int16))
    assert not after[8000:].any()


@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 6.0])
def test_gain(gain_db):
    before = tone(440)
    after = through(Conditioner(0, gain_db), before)
    assert change_db(before, after) == pytest.approx(gain_db, abs=0.01)


def test_an_overflow_is_clipped_and_never_wraps():
    after = through(Conditioner(0, 20.0), np.array([10_000, -10_000] * 160, np.int16))
    assert sorted(set(after.tolist())) == [-32768, 32767]


def test_after_a_reset_it_begins_anew():
    conditioner = Conditioner(100, 0.0)
    first = through(conditioner, tone(60))
    assert not np.array_equal(through(conditioner, tone(60)), first)
    conditioner.reset()
    assert np.array_equal(through(conditioner, tone(60)), first)
