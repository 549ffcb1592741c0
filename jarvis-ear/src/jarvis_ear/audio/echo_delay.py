"""Delay of the echo: found by correlation, and followed while two clocks drift apart."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy import fft  # at import: numpy would load it at the first reply

from jarvis_ear.units import SAMPLE_RATE, Samples, samples

LEAST_DELAY: Final = samples(-100)
"""Lowest delay that is found; below zero if the far end is stamped later than it sounds."""

MOST_DELAY: Final = samples(900)
"""Highest delay that is found: 800 ms of a slow output, and the way through the room."""

LOOK_SAMPLES: Final = samples(1000)
"""Sound of the microphone in one look: some syllables, and at 100 ppm the delay moves by less than
two samples in it."""

FAR_SAMPLES: Final = Samples(LOOK_SAMPLES + MOST_DELAY - LEAST_DELAY)
"""Sound of the far end in one look."""

CLEAR: Final = 2.0
"""Ratio of the highest peak to the next one from which it is the echo. Measured: without an echo
at most 1.4; with one 12 dB below a person who speaks usually 4, in much reverberation 3."""

FAINT: Final = 1.5
"""Ratio from which a peak is the echo if several looks agree."""

AGREEING: Final = 5
"""Number of faint looks in a row that have to agree: the first and the last share no sound."""

AGREEMENT: Final = 2.0
"""Samples by which a look may differ from the one before, if they agree."""

NEAR_PEAK: Final = samples(5)
"""Distance within which peaks belong to the highest one: first reflections."""

BAND_HZ: Final = (100, 4000)
"""Frequencies that count: there is hum below, and little of a voice above."""

AUDIBLE: Final = 1e-6
"""Mean square of the far end, -60 dBFS, below which no look is taken."""

TRANSFORM: Final = 36_000
"""Length of the transforms: more than ``FAR_SAMPLES``, and a product of small primes."""

_BAND: Final = slice(*(hz * TRANSFORM // SAMPLE_RATE for hz in BAND_HZ))
_AGES: Final = np.arange(LOOK_SAMPLES, 0, -1, dtype=np.float32)
_TINY: Final = 1e-12

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EchoDelay:
    """Delay of the far end in the microphone, as one look found it."""

    samples: float
    """Delay of the loudest path, in samples and fractions."""
    clearness: float
    """Ratio of the highest peak of the correlation to the next one."""
    gain: float
    """Power of the microphone relative to the far end."""
    age: int
    """Samples from the middle of the compared sound, weighted by its energy, to its end."""


class DelayFinder:
    """Finds the delay of the echo, look by look. Owned by the ear thread.

    The phase transform (GCC-PHAT) gives the same weight to each frequency. A person who speaks is
    not in the far end, and adds noise to the correlation but no peak.
    """

    def __init__(self) -> None:
        self._last = 0.0
        self._agreeing = 0

    def look(self, microphone: Floats, far: Floats) -> EchoDelay | None:
        """Look for the echo of ``far`` in ``microphone``; None: nothing that is sure.

        ``microphone`` has LOOK_SAMPLES samples of -1 ... 1. ``far`` has FAR_SAMPLES: it begins
        MOST_DELAY before the microphone, and ends -LEAST_DELAY after it. Takes about 0.5 ms.
        """
        found = _highest_peak(microphone, far)
        if found is None:
            self._agreeing = 0
            return None
        agrees = self._agreeing > 0 and abs(found.samples - self._last) <= AGREEMENT
        self._agreeing = self._agreeing + 1 if agrees else 1
        self._last = found.samples
        return found if found.clearness >= CLEAR or self._agreeing >= AGREEING else None


def _highest_peak(microphone: Floats, far: Floats) -> EchoDelay | None:
    if np.dot(far, far) < AUDIBLE * LOOK_SAMPLES:
        return None
    correlation = np.abs(_correlate(microphone, far))
    at = int(correlation.argmax())
    others = np.concatenate((correlation[: max(0, at - NEAR_PEAK)], correlation[at + NEAR_PEAK :]))
    clearness = float(correlation[at] / (others.max() + _TINY))
    if clearness < FAINT or not 0 < at < len(correlation) - 1:
        return None
    delay = LEAST_DELAY + at
    energy = far[MOST_DELAY - delay :][:LOOK_SAMPLES] ** 2
    total = float(energy.sum()) + _TINY
    return EchoDelay(
        samples=delay + _vertex(correlation[at - 1 : at + 2]),
        clearness=clearness,
        gain=float(np.dot(microphone, microphone)) / total,
        age=int(np.dot(energy, _AGES) / total),
    )


def _correlate(microphone: Floats, far: Floats) -> Floats:
    """Return the whitened correlation at each delay from LEAST_DELAY to MOST_DELAY."""
    cross = fft.rfft(microphone, TRANSFORM)[_BAND] * fft.rfft(far, TRANSFORM)[_BAND].conj()
    spectrum = np.zeros(TRANSFORM // 2 + 1, np.complex64)
    spectrum[_BAND] = cross / (np.abs(cross) + _TINY)
    correlation = fft.irfft(spectrum, TRANSFORM)
    # A delay of MOST_DELAY is at index 0; the smaller ones precede it, at the end of the circle.
    before = correlation[LEAST_DELAY - MOST_DELAY :]
    return np.concatenate((before, correlation[:1])).astype(np.float32, copy=False)


def _vertex(peak: Floats) -> float:
    """Return the position of the vertex of a parabola through three values, -0.5 ... 0.5."""
    before, at, after = (float(value) for value in peak)
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend else 0.0


FIRST_DRIFT: Final = 100e-6
"""Standard deviation of the drift between two sound cards, before anything is known."""

KNOWN_DRIFT: Final = 5e-6
"""The same if the drift was measured in an earlier run: the cards may be warmer now."""

LOOK_ERROR: Final = 0.1
"""Standard deviation of a delay that a look finds, in samples. Measured: 0.03 to 0.06."""

WANDER: Final = 1e-6
"""Standard deviation of the change of the drift in a minute."""

GATE: Final = 4.0
"""Standard deviations beyond which a look does not fit."""

LEAST_GATE: Final = 3.0
"""The same in samples, at least: of two paths that are close, a look may find either."""

MOST_DRIFT: Final = 500e-6
"""Limit of the drift; quartz crystals are specified with at most 100 ppm each."""


class DriftTracker:
    """Follows the delay of the echo and the drift of the clocks. Owned by the ear thread.

    A Kalman filter with two states, corrected by the delay that each look finds. Two looks in a row
    that do not fit, but agree, mean that the delay has jumped.
    """

    def __init__(self, drift: float | None = None) -> None:
        """``drift`` is that of an earlier run, if known."""
        self.drift = drift or 0.0
        """Samples by which the delay grows in each sample: 50e-6 is 50 ppm."""
        self.is_tracking = False
        """Whether a delay was found since the start."""
        self._at = 0
        self._delay = 0.0
        self._misfit: float | None = None
        deviation = FIRST_DRIFT if drift is None else KNOWN_DRIFT
        self._covariance = (0.0, 0.0, deviation**2)  # of the delay, of both, of the drift

    def restart(self) -> None:
        """Forget the delay, but not the drift: the far end begins anew."""
        self.is_tracking = False

    def delay_at(self, position: int) -> float:
        """Return the delay that is expected at ``position``, in samples."""
        return self._delay + self.drift * (position - self._at)

    def add(self, position: int, delay: float) -> bool:
        """Add the delay found at ``position``; return whether it is new or has jumped."""
        if not self.is_tracking:
            self._begin(position, delay)
            return True
        self._predict(position)
        error = delay - self._delay
        gate = max(LEAST_GATE, GATE * (self._covariance[0] + LOOK_ERROR**2) ** 0.5)
        if abs(error) <= gate:
            self._correct(error)
            return False
        if self._misfit is not None and abs(delay - self._misfit) <= gate:
            self._begin(position, delay)
            return True
        self._misfit = delay
        return False

    def _begin(self, position: int, delay: float) -> None:
        self._at, self._delay, self._misfit = position, delay, None
        self._covariance = (LOOK_ERROR**2, 0.0, self._covariance[2])
        self.is_tracking = True

    def _predict(self, position: int) -> None:
        passed = position - self._at
        self._delay = self.delay_at(position)
        self._at = position
        delay, both, drift = self._covariance
        wander = WANDER**2 * abs(passed) / (60 * SAMPLE_RATE)
        self._covariance = (
            delay + 2 * passed * both + passed**2 * drift,
            both + passed * drift,
            drift + wander,
        )

    def _correct(self, error: float) -> None:
        delay, both, drift = self._covariance
        of_delay, of_drift = (each / (delay + LOOK_ERROR**2) for each in (delay, both))
        self._misfit = None
        self._delay += of_delay * error
        self.drift = min(max(self.drift + of_drift * error, -MOST_DRIFT), MOST_DRIFT)
        self._covariance = (delay * (1 - of_delay), both * (1 - of_delay), drift - of_drift * both)
