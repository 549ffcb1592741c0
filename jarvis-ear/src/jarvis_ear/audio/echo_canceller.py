"""Echo canceller: subtracts the sound of the loudspeaker from that of the microphone.

A partitioned-block Kalman filter in the frequency domain (Enzner and Vary, "Frequency-domain
adaptive Kalman filter for acoustic echo control in hands-free telephones", 2006; in partitions by
Kuech, Mabande and Enzner, 2014). It learns the path from the loudspeaker to the microphone. It is
linear: nothing of a person who speaks at the same time is suppressed.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy import fft  # at import: numpy would load it at the first reply

from jarvis_ear.audio.level import FULL_SCALE
from jarvis_ear.audio.wav import float_to_pcm16
from jarvis_ear.units import FRAME_SAMPLES

PARTITIONS: Final = 17
"""Frames of the echo path: 20 ms for an inexact delay, and 320 ms for the room."""

LEAD_PARTITIONS: Final = 2
"""First partitions, where the direct sound is expected: the prior is the same for them."""

DECAY_DB: Final = 2.4
"""Decay of the prior from one partition to the next: that of a room with 0.5 s of reverberation
(60 dB). Measured: 1 s after the start, the echo is 15 dB lower; with a flat prior, 4 dB."""

FORGETTING: Final = 0.999
"""Share of the path that is expected to be the same one frame later (from the literature)."""

UNKNOWN: Final = 0.1
"""Share of the prior that is always expected anew. Measured: 1 dB less echo than without it, and a
filter that has long learned from silence still learns."""

SMOOTHING: Final = 0.6
"""Share of the previous estimate in that of the noise; 0.3 to 0.8 were measured as equal."""

OVERLAP: Final = 0.5
"""Share of new samples in each transform: one frame of two."""

FIRST_NOISE: Final = 1e-3
"""Power of the noise in each bin before the first frame; of a level of -55 dBFS."""

SILENT: Final = 1e-7 * PARTITIONS * FRAME_SAMPLES
"""Energy of the far end, -70 dBFS on average, below which there is nothing to learn."""

LOUDER: Final = 2.0
"""Energy of the output, relative to the microphone, above which the frame passes unchanged."""

MOST_LOUDER: Final = 25
"""Such frames, less the others, after which the filter begins anew: 0.5 s."""

VANISHED: Final = 100.0
"""Energy of the output, relative to the microphone, above which the loudspeaker must be silent, as
after a sound that was cut off: a path does not lose 20 dB."""

NEW: Final = 50
"""Frames, 1 s, in which a new filter learns from each frame: its output may then be louder."""

GAINS: Final = (1e-4, 1e4)
"""Limits of the power of the echo relative to the far end: -40 dB to +40 dB."""

_BINS: Final = FRAME_SAMPLES + 1
_TINY: Final = np.float32(1e-8)

Floats = npt.NDArray[np.float32]


class EchoCanceller:
    """Cancels the echo of the far end in the microphone. Owned by the ear thread.

    The far end is what the loudspeaker plays, here aligned with the microphone. In no frame is the
    output more than 3 dB louder than the microphone. A frame costs about 0.1 ms.
    """

    def __init__(self) -> None:
        self._weights = np.zeros((PARTITIONS, _BINS), np.complex64)
        self._variances = np.zeros((PARTITIONS, _BINS), np.float32)  # of the weights
        self._unknown = np.zeros((PARTITIONS, _BINS), np.float32)
        self._spectra = np.zeros((2 * PARTITIONS, _BINS), np.complex64)  # each twice: no rotation
        self._energies = np.zeros(PARTITIONS, np.float32)
        self._newest = 0
        self._far = np.zeros(2 * FRAME_SAMPLES, np.float32)
        self._error = np.zeros(2 * FRAME_SAMPLES, np.float32)
        self._noise = np.zeros(_BINS, np.float32)
        self._learned = 0
        self._louder = 0
        self.passed = 0
        """Frames that passed unchanged because the output was louder than the microphone."""
        self.resets = 0
        """Number of times that the filter began anew because its output stayed louder."""
        self.reset()

    def reset(self, gain: float = 1.0) -> None:
        """Clear the path. ``gain`` is the expected power of the echo relative to the far end."""
        decay = DECAY_DB * np.maximum(np.arange(PARTITIONS) - LEAD_PARTITIONS + 1, 0)
        shares = 10 ** (-decay / 10)
        prior = np.clip(gain, *GAINS) * shares / shares.sum()
        self._weights.fill(0)
        self._variances[:] = prior[:, None]
        self._unknown[:] = (1 - FORGETTING**2) * UNKNOWN * self._variances
        self._noise.fill(FIRST_NOISE)
        self._learned = 0
        self._louder = 0

    def follow(self, far: Floats) -> None:
        """Add a frame of the far end, 320 samples of -1 ... 1, without a microphone."""
        self._far[:FRAME_SAMPLES] = self._far[FRAME_SAMPLES:]
        self._far[FRAME_SAMPLES:] = far
        self._newest = (self._newest or PARTITIONS) - 1
        self._energies[self._newest] = np.dot(far, far)
        spectrum = fft.rfft(self._far)
        self._spectra[self._newest] = self._spectra[self._newest + PARTITIONS] = spectrum

    def cancel(
        self, microphone: npt.NDArray[np.int16], far: Floats, *, learns: bool = True
    ) -> npt.NDArray[np.int16]:
        """Return a frame of the microphone, 320 samples, without the echo.

        ``far`` is the far end at the same time, 320 samples of -1 ... 1. ``learns`` says whether
        the path is learned from this frame: not while ``far`` may be at the wrong place.
        """
        self.follow(far)
        if self._energies.sum() < SILENT:
            return microphone
        near = microphone.astype(np.float32) / FULL_SCALE
        spectra = self._spectra[self._newest : self._newest + PARTITIONS]
        echo = fft.irfft((self._weights * spectra).sum(axis=0))[FRAME_SAMPLES:]
        error = self._error[FRAME_SAMPLES:]
        np.subtract(near, echo, out=error)
        energy, left = float(np.dot(near, near)), float(np.dot(error, error))
        louder = not left <= LOUDER * energy  # so is NaN
        self.passed += louder
        output = microphone if louder else float_to_pcm16(error * FULL_SCALE)
        is_new = self._learned < NEW
        if learns and not is_new:
            self._watch(energy, left, louder=louder)
        if learns and (is_new or not louder) and math.isfinite(left):
            self._learn(spectra)
        return output

    def _watch(self, energy: float, left: float, *, louder: bool) -> None:
        """Begin anew if the output stays louder than the microphone.

        Not if the microphone is so quiet that the loudspeaker must be silent: the path is the same.
        """
        if left <= VANISHED * energy:
            self._louder = max(0, self._louder + (1 if louder else -1))
        if self._louder >= MOST_LOUDER:
            self.resets += 1
            self.reset(energy * PARTITIONS / float(self._energies.sum()))

    def _learn(self, spectra: npt.NDArray[np.complex64]) -> None:
        """Update the path with the error of this frame."""
        self._learned += 1
        error = fft.rfft(self._error)
        self._noise *= SMOOTHING
        self._noise += (1 - SMOOTHING) * _power(error)
        power = _power(spectra)
        expected = OVERLAP * (self._variances * power).sum(axis=0) + self._noise + _TINY
        gain = self._variances / expected
        step = fft.irfft(gain * spectra.conj() * error, axis=1)
        step[:, FRAME_SAMPLES:] = 0  # the second half is circular
        self._weights += fft.rfft(step, axis=1)
        self._variances *= FORGETTING**2 * (1 - OVERLAP * gain * power)
        self._variances += (1 - FORGETTING**2) * _power(self._weights) + self._unknown


def _power(spectrum: npt.NDArray[np.complexfloating]) -> Floats:
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)
