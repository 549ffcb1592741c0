"""ClippingMeter: how much of the last minute was too loud for its samples."""

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.level import CLIPPED

WINDOW_S: Final = 60
"""Seconds of sound over which the share is taken."""

TOO_MUCH: Final = 0.001
"""The share of clipped samples from which it is worth a warning: one in a thousand.

Measured with the shipped wake model and the recordings of tests/data, one wake word a minute: said
6 dB too loud, 0.12 % of the minute is clipped and the score stays at 0.98; said 10 dB too loud, it
is 0.29 %, and the score of 0.46 is below the threshold.
"""


class ClippingMeter:
    """Counts samples at either end of the 16-bit scale, second by second. For one thread.

    A sample is clipped when it is 32 767, -32 767 or -32 768: the sound was probably louder than
    the scale. Sound that the device itself cut off below that is not noticed.
    """

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=WINDOW_S)  # (samples, clipped)
        self._samples = 0
        self._clipped = 0

    def hear(self, sound: npt.NDArray[np.int16], rate: int) -> None:
        """Take the next samples of one channel, ``rate`` of them a second."""
        self._samples += len(sound)
        self._clipped += int(np.count_nonzero((sound >= CLIPPED) | (sound <= -CLIPPED)))
        if self._samples >= rate:
            self._seconds.append((self._samples, self._clipped))
            self._samples = self._clipped = 0

    @property
    def share(self) -> float:
        """Clipped samples of the last minute of sound, 0 ... 1 of all; 0 before a whole second."""
        samples = sum(samples for samples, _ in self._seconds)
        clipped = sum(clipped for _, clipped in self._seconds)
        return clipped / samples if samples else 0.0

    @property
    def is_too_much(self) -> bool:
        """Whether that is worth a warning: of a whole minute, ``TOO_MUCH`` or more is clipped.

        A shorter time counts as a minute, so that one loud bang after an opening is no alarm.
        """
        clipped = sum(clipped for _, clipped in self._seconds)
        longest = max((samples for samples, _ in self._seconds), default=1)
        return clipped >= TOO_MUCH * WINDOW_S * longest
