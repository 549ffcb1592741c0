"""Level: RMS and peak in dBFS, clipping, and the noise floor of a room."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

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


WINDOW_S: Final = 60
"""Seconds of sound over which the share is computed."""

TOO_MUCH: Final = 0.001
"""Share of clipped samples that warrants a warning: one in a thousand.

Measured with the shipped wake model and the recordings of tests/data, one wake word a minute:
spoken 6 dB too loud, 0.12 % of the minute is clipped and the score stays at 0.98; spoken 10 dB too
loud, 0.29 % is clipped, and the score of 0.46 is below the threshold.
"""


class ClippingMeter:
    """Counts samples at either end of the 16-bit scale, second by second. For one thread.

    A sample counts as clipped when it is 32 767, -32 767 or -32 768: the sound probably exceeded
    the scale. Clipping inside the device below that level is not detected.
    """

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=WINDOW_S)  # (samples, clipped)
        self._samples = 0
        self._clipped = 0

    def hear(self, sound: npt.NDArray[np.int16], rate: int) -> None:
        """Add the next samples of one channel, at ``rate`` samples per second."""
        self._samples += len(sound)
        self._clipped += int(np.count_nonzero((sound >= CLIPPED) | (sound <= -CLIPPED)))
        if self._samples >= rate:
            self._seconds.append((self._samples, self._clipped))
            self._samples = self._clipped = 0

    @property
    def share(self) -> float:
        """Clipped share of the last minute of sound, 0 ... 1; 0 before the first whole second."""
        samples = sum(samples for samples, _ in self._seconds)
        clipped = sum(clipped for _, clipped in self._seconds)
        return clipped / samples if samples else 0.0

    @property
    def is_too_much(self) -> bool:
        """Whether ``TOO_MUCH`` or more of a whole minute is clipped, which warrants a warning.

        A shorter time counts as a minute, so that one loud bang after an opening is no alarm.
        """
        clipped = sum(clipped for _, clipped in self._seconds)
        longest = max((samples for samples, _ in self._seconds), default=1)
        return clipped >= TOO_MUCH * WINDOW_S * longest


WINDOW: Final = 300
"""Levels that are kept: half a minute at ten per second."""

SHARE: Final = 10
"""One level in ten is quieter than the floor: the pauses of speech show the room."""


class NoiseFloor:
    """The last 300 levels; the oldest are dropped. For one thread."""

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
