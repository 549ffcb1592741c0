import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.audio.resample import Resampler, resample

RATES = [8000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000]


def tone(frequency: float, rate: int, seconds: float = 0.5, amplitude: int = 16_000) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    return np.rint(amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def stream(pcm: np.ndarray, cuts: list[int], rate_in: int, rate_out: int) -> np.ndarray:
    resampler = Resampler(rate_in, rate_out)
    pieces = [resampler.push(piece) for piece in np.split(pcm, cuts)]
    return np.concatenate([*pieces, resampler.finish()])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(RATES),
    st.lists(st.integers(0, 9000), max_size=12).map(sorted),
    st.integers(0, 2**32 - 1),
)
def test_any_cut_gives_the_same_samples(rate, cuts, seed):
    pcm = np.random.default_rng(seed).integers(-32768, 32767, 9000, dtype=np.int16)
    assert np.array_equal(stream(pcm, cuts, rate, 16_000), stream(pcm, [], rate, 16_000))


@pytest.mark.parametrize(
    ("count", "rate", "cuts"),
    [(3000, 44_100, range(1, 3000)), (200_000, 48_000, [777]), (0, 48_000, [])],
)
def test_a_stream_and_a_whole_recording_are_the_same(count, rate, cuts):
    pcm = np.random.default_rng(3).integers(-20_000, 20_000, count, dtype=np.int16)
    whole = resample(pcm, rate, 16_000)
    assert np.array_equal(stream(pcm, list(cuts), rate, 16_000), whole)
    assert abs(len(whole) - count * 16_000 / rate) <= 1


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_samples_and_their_time(rate):
    got = resample(tone(440, rate), rate, 16_000)
    assert abs(len(got) - 8000) <= 1
    inner = slice(400, 7600)  # the edges ring: there was silence beyond them
    error = got[inner].astype(int) - tone(440, 16_000)[inner]
    assert np.abs(error).max() <= 3


def test_a_tone_that_16_khz_cannot_hold_is_filtered_out():
    got = resample(tone(12_000, 48_000), 48_000, 16_000)
    assert np.abs(got[400:-400].astype(int)).max() <= 2


def test_overshoot_is_clipped_and_never_wraps():
    square = np.where(np.arange(9600) // 480 % 2, 32767, -32768).astype(np.int16)
    got = resample(square, 48_000, 16_000).astype(int)
    high = got[np.repeat(square[::3] > 0, 1)]
    assert got.max() == 32767
    assert got.min() == -32768
    assert high.min() > -20_000  # wrapping would turn the loudest into the opposite


def test_the_same_rate_changes_nothing():
    pcm = np.arange(1000, dtype=np.int16)
    assert np.array_equal(resample(pcm, 16_000, 16_000), pcm)
    assert np.array_equal(stream(pcm, [10, 20], 16_000, 16_000), pcm)


def level_db(pcm: np.ndarray, amplitude: int) -> float:
    """How much louder than a sine of ``amplitude`` it is, without its edges."""
    inner = pcm[800:-800].astype(float)
    return 20 * np.log10(max(np.sqrt(2 * np.mean(inner**2)), 1e-9) / amplitude)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("frequency", [50, 100, 300, 1000, 2000, 3000, 4000, 5000, 6000, 7000])
def test_a_tone_below_8_khz_keeps_its_level(rate, frequency):
    assert abs(level_db(resample(tone(frequency, rate), rate, 16_000), 16_000)) < 0.5


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("frequency", [8500, 9000, 10_000, 12_000, 15_000, 16_000, 20_000])
def test_a_tone_above_8_khz_is_60_db_down(rate, frequency):
    assert level_db(resample(tone(frequency, rate), rate, 16_000), 16_000) < -60


def test_a_sweep_is_flat_up_to_7_khz_and_gone_above_9():
    rate, seconds = 48_000, 4.0
    time = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * (50 * time + (20_000 - 50) * time**2 / (2 * seconds))
    got = resample(np.rint(16_000 * np.sin(phase)).astype(np.int16), rate, 16_000)
    pieces = got[: len(got) // 320 * 320].reshape(-1, 320).astype(float)
    levels = 20 * np.log10(np.sqrt(2 * (pieces**2).mean(axis=1)).clip(1e-6) / 16_000)
    frequencies = 50 + (20_000 - 50) * (np.arange(len(levels)) + 0.5) / len(levels)
    low, high = (frequencies > 200) & (frequencies < 7000), frequencies > 9000
    assert np.abs(levels[low]).max() < 0.5
    assert levels[high].max() < -60
