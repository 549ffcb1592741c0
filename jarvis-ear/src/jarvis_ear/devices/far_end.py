"""FarEndTap: the sound that leaves the loudspeaker, as a reference for an echo canceller."""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.resample import Resampler
from jarvis_ear.units import SAMPLE_RATE

OnFar: TypeAlias = Callable[[bytes, float], None]
"""Takes mono PCM16 at 16 kHz, and when its first sample leaves the buffer of the output, in seconds
of CLOCK_BOOTTIME. Called by the speaker thread; it must not block."""

SEAM_S: Final = 0.05
"""A larger difference between two pieces and the time between them is a gap in the sound."""


class FarEndTap:
    """Converts what is written to an output at ``rate`` into the reference. For one thread.

    Silence is not part of it: where nothing was written, nothing is reported.
    """

    def __init__(self, on_far: OnFar, rate: int) -> None:
        self._on_far = on_far
        self._rate = rate
        self._resampler = Resampler(rate, SAMPLE_RATE)
        self._taken = 0  # samples of the output since the last gap
        self._given = 0  # samples of the reference since then
        self._ends_at = 0.0

    def wrote(self, pcm: npt.NDArray[np.int16], heard_at: float) -> None:
        """Report a piece whose first sample is heard at this time."""
        if self._taken and abs(heard_at - self._ends_at) > SEAM_S:
            self.pause()
        began_at = heard_at - self._taken / self._rate  # follows the clock of the device
        self._taken += len(pcm)
        self._ends_at = began_at + self._taken / self._rate
        self._give(self._resampler.push(pcm), began_at)

    def pause(self) -> None:
        """Report the rest of the sound before a gap."""
        if self._taken:
            self._give(self._resampler.finish(), self._ends_at - self._taken / self._rate)
            self._resampler = Resampler(self._rate, SAMPLE_RATE)
            self._taken = self._given = 0

    def _give(self, pcm: npt.NDArray[np.int16], began_at: float) -> None:
        if len(pcm):
            at = began_at + self._given / SAMPLE_RATE
            self._given += len(pcm)
            self._on_far(pcm.astype("<i2", copy=False).tobytes(), at)
