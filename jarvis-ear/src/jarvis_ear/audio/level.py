"""Level: how loud a piece of PCM16 is."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from jarvis_ear.units import FRAME_SAMPLES, Dbfs

FULL_SCALE: Final = 32_768
"""The loudest value a sample can have, and the smallest it cannot."""

SILENCE: Final = Dbfs(-120.0)
"""What exact digital silence counts as: far below the -96 of one single bit, yet a number."""

CLIPPED: Final = 32_767
"""A sample at either end of the scale was probably louder than the scale."""


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a stretch of sound is, relative to full scale."""

    rms: Dbfs
    """Its energy, on the scale where a full-scale sine is 0."""
    peak: Dbfs
    """Its loudest sample, on the scale where a full-scale sample is 0."""
    clipped: int
    """How many samples stand at an end of the scale."""


def level(pcm: bytes) -> Level:
    """Measure PCM16 of any whole number of samples; nothing at all is silence."""
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
    """Measure the energy of each whole frame of PCM16, in one go: see ``Level.rms``."""
    values = np.frombuffer(pcm, "<i2").astype(np.float32)
    rows = values[: len(values) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return [_dbfs(math.sqrt(2 * float(square))) for square in np.square(rows).mean(axis=1)]


def _dbfs(amplitude: float) -> Dbfs:
    if amplitude <= 0:
        return SILENCE
    return Dbfs(20 * math.log10(amplitude / FULL_SCALE))
