"""Arithmetic on recordings: position and level of the speech."""

import itertools
import zlib
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from jarvis_ear.units import SAMPLE_RATE

Sound: TypeAlias = npt.NDArray[np.int16]
"""A recording as the ear hears it: 16 kHz, one channel."""

Waves: TypeAlias = npt.NDArray[np.float64]
"""The same before rounding."""

WINDOW: Final = 160
"""Samples per window: 10 ms, short enough to find the borders of words."""

AUDIBLE: Final = 1e-3
"""-30 dB below the loudest window: quieter sound is breath, echo and room."""

LOUD: Final = 1e-2
"""-20 dB below it: louder windows determine the level of the speech."""


def chance(*name: object) -> np.random.Generator:
    """Return a random generator seeded by a name: the same in every run."""
    return np.random.default_rng(zlib.crc32(repr(name).encode()))


def floor(samples: int, random: np.random.Generator) -> Waves:
    """Make the noise of a good microphone in a quiet room, about -72 dBFS."""
    return random.normal(0, 8, samples)


def powers(sound: Sound | Waves) -> Waves:
    """Return the mean square of every window."""
    windows = sound[: len(sound) // WINDOW * WINDOW].reshape(-1, WINDOW).astype(np.float64)
    result: Waves = (windows**2).mean(axis=1)
    return result


def spoken(sound: Sound | Waves) -> tuple[int, int]:
    """Find the audible speech in a clean recording: first sample, and the one after the last."""
    power = powers(sound)
    audible = np.flatnonzero(power > power.max() * AUDIBLE)
    return int(audible[0]) * WINDOW, int(audible[-1] + 1) * WINDOW


def pauses(sound: Sound | Waves) -> list[tuple[int, int]]:
    """Find the silences between words: first sample, and the one after the last."""
    power = powers(sound)
    audible = np.flatnonzero(power > power.max() * AUDIBLE)
    return [
        (int(before + 1) * WINDOW, int(after) * WINDOW)
        for before, after in itertools.pairwise(audible)
        if after > before + 1
    ]


def loudness(sound: Sound | Waves) -> float:
    """Return the root mean square of the loud parts: the level of the speech without pauses."""
    power = powers(sound)
    return float(np.sqrt(power[power > power.max() * LOUD].mean()))


def rms(sound: Sound | Waves) -> float:
    """Return the root mean square of everything, at least 1."""
    return max(1.0, float(np.sqrt((np.asarray(sound, np.float64) ** 2).mean())))


def rounded(waves: Waves) -> Sound:
    """Convert waves to samples, clipped like those of a sound card."""
    return np.clip(np.rint(waves), -32768, 32767).astype(np.int16)


def seconds(count: float) -> int:
    """Return the number of samples in a number of seconds."""
    return int(count * SAMPLE_RATE)


OVERLAP: Final = 320
"""Samples by which the pieces of a stretched sound overlap: 20 ms, longer than a pitch period."""

SEARCH: Final = 160
"""Samples by which a piece may be moved so that it fits the one before: 10 ms."""


def shifted(waves: Waves, semitones: int) -> Waves:
    """Return a voice that is higher by ``semitones``, formants included, and as fast as before."""
    ratio = 2 ** (semitones / 12)
    higher = soxr.resample(waves, SAMPLE_RATE * ratio, SAMPLE_RATE)
    return _stretched(higher, len(waves))


def _stretched(waves: Waves, length: int) -> Waves:
    """Change the length but not the pitch: overlapping pieces at the places that fit best."""
    pieces = length // OVERLAP + 1
    padded = np.concatenate((np.zeros(SEARCH), waves, np.zeros(3 * OVERLAP + SEARCH)))
    fade = np.linspace(0, 1, OVERLAP, endpoint=False)
    result = np.zeros((pieces + 1) * OVERLAP)
    follows = padded[:OVERLAP]
    for piece in range(pieces):
        near = SEARCH + round(piece * OVERLAP * len(waves) / length)
        places = padded[near - SEARCH : near + SEARCH + OVERLAP]
        start = near - SEARCH + int(np.correlate(places, follows, "valid").argmax())
        begin = piece * OVERLAP
        result[begin : begin + OVERLAP] += fade * padded[start : start + OVERLAP]
        ends = padded[start + OVERLAP : start + 2 * OVERLAP]
        result[begin + OVERLAP : begin + 2 * OVERLAP] += (1 - fade) * ends
        follows = ends
    return result[:length]


def reverberant(waves: Waves, rt60_s: float, random: np.random.Generator) -> Waves:
    """Return speech in a room whose echo is 60 dB weaker after ``rt60_s``, as loud as before.

    The echo as a whole is as strong as the direct sound: a person some metres away.
    """
    count = seconds(rt60_s)
    tail = random.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
    room = np.concatenate(([1.0], tail / np.sqrt((tail**2).sum())))
    size = len(waves) + len(room)
    wet: Waves = np.fft.irfft(np.fft.rfft(waves, size) * np.fft.rfft(room, size), size)
    wet = wet[: len(waves)]
    return wet * (loudness(waves) / loudness(wet))
