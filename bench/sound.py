"""Arithmetic on recordings: position and level of the speech."""

import itertools
import zlib
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

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
