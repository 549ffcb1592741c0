"""Level: RMS and peak in dBFS, clipping, and the noise floor of a room."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from jarvis_ear.units import FRAME_SAMPLES, Dbfs

FULL_SCALE: Final = 32_768
"""Largest magnitude of a sample, -32 768; one more than the largest positive one."""

SILENCE: Final = Dbfs(-120.0)
"""Level of digital silence: far below the -96 of a single bit, yet a finite number."""

CLIPPED: Final = 32_767
"""Magnitude from which a sample counts as clipped: the sound probably exceeded the scale."""


@dataclass(frozen=True, slots=True)
class Level:
    """Loudness of a stretch of sound, relative to full scale."""

    rms: Dbfs
    """Energy, on the scale where a full-scale sine is 0."""
    peak: Dbfs
    """Loudest sample, on the scale where a full-scale sample is 0."""
    clipped: int
    """Number of samples at either end of the scale."""


def level(pcm: bytes) -> Level:
    """Measure PCM16 of any whole number of samples; empty input is silence."""
    values = np.frombuffer(pcm, "<i2").astype(np.float64)
    if len(values) == 0:
        return Level(SILENCE, SILENCE, 0)
    magnitudes = np.abs(values)
    return Level(
        rms=_dbfs(math.sqrt(2 * float(np.mean(values * values)))),  # a sine's peak is rms * sqrt 2
        peak=_dbfs(float(magnitudes.max())),
        clipped=int(np.count_nonzero(magnitudes >= CLIPPED)),
    )


def frame_levels(pcm: bytes) -> list[Dbfs]:
    """Return the energy of each whole frame of PCM16 (see ``Level.rms``) in one pass."""
    values = np.frombuffer(pcm, "<i2").astype(np.float32)
    rows = values[: len(values) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return [_dbfs(math.sqrt(2 * float(square))) for square in np.square(rows).mean(axis=1)]


def _dbfs(amplitude: float) -> Dbfs:
    if amplitude <= 0:
        return SILENCE
    return Dbfs(20 * math.log10(amplitude / FULL_SCALE))


WINDOW: Final = 30
"""Levels that are kept: half a minute at one per second."""

SHARE: Final = 10
"""One level in ten is quieter than the floor: the pauses of speech show the room."""


class NoiseFloor:
    """The last 30 levels; the oldest are dropped. For one thread."""

    def __init__(self) -> None:
        self._levels: deque[Dbfs] = deque(maxlen=WINDOW)

    def hear(self, level: Dbfs) -> None:
        """Add the newest level."""
        self._levels.append(level)

    @property
    def level(self) -> Dbfs:
        """Noise floor of the last half minute."""
        ordered = sorted(self._levels)
        return ordered[len(ordered) // SHARE] if ordered else SILENCE
