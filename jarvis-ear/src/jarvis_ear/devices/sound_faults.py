"""Faults in the samples of a sound card: digital silence, clipping and lost samples."""

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.level import CLIPPED

SUSPICIOUS_S: Final = 10
"""Seconds of one value. A converter's own noise changes the last bit many times a second."""

DEAD_LINE_S: Final = 60
"""Seconds in which only the last bit changes, as with an unconnected input. A room is louder, but
not in every moment of a quiet night: so this takes longer."""

DEAD_LINE_SPAN: Final = 2
"""The last bit up and down, in samples of 16 bits: -1 to 1, around any constant offset."""


class DigitalSilence:
    """Detects samples that are not sound. Owned by the reader of the device."""

    def __init__(self) -> None:
        self._same_s = 0.0  # seconds with one value
        self._narrow_s = 0.0  # seconds with at most three adjacent values
        self._least = self._most = 0  # of those values
        self._value = 0

    @property
    def is_dead(self) -> bool:
        """Whether the samples cannot be the sound of a room."""
        return self._same_s >= SUSPICIOUS_S or self._narrow_s >= DEAD_LINE_S

    @property
    def what(self) -> str:
        """Description of the samples."""
        if self._same_s < SUSPICIOUS_S:
            return f"values from {self._least} to {self._most}"
        return f"the value {self._value}" if self._value else "zeros"

    def hear(self, sound: npt.NDArray[np.int16], rate: int) -> bool:
        """Add the next samples of one channel; return whether ``is_dead`` has changed."""
        was_dead = self.is_dead
        if len(sound):
            self._measure(sound, len(sound) / rate)
        return self.is_dead is not was_dead

    def _measure(self, sound: npt.NDArray[np.int16], seconds: float) -> None:
        least, most = int(sound.min()), int(sound.max())
        if least != most or least != self._value:
            self._same_s = 0.0
        if least == most:
            self._same_s += seconds
        self._value = int(sound[-1])
        if self._narrow_s:
            least, most = min(least, self._least), max(most, self._most)
        if most - least > DEAD_LINE_SPAN:
            self._narrow_s = 0.0  # start a new measurement
            return
        self._narrow_s += seconds
        self._least, self._most = least, most


CLIPPING_WINDOW_S: Final = 60
"""Seconds of sound over which the share of clipped samples is computed."""

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
        self._seconds: deque[tuple[int, int]] = deque(
            maxlen=CLIPPING_WINDOW_S
        )  # (samples, clipped)
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

        A shorter time counts as a minute, so that one loud bang after an opening is not an alarm.
        """
        clipped = sum(clipped for _, clipped in self._seconds)
        longest = max((samples for samples, _ in self._seconds), default=1)
        return clipped >= TOO_MUCH * CLIPPING_WINDOW_S * longest


TOLERANCE_S: Final = 0.1
"""Drivers deliver sound in periods of up to about 50 ms: a lag below twice that is not a loss."""

LATE_S: Final = 1.0
"""Sound servers may deliver late: samples missing for longer are lost."""

TRACKING: Final = 1 / 64
"""Converters drift by up to 0.1 per mille: the usual lag follows within seconds."""


class LossMeter:
    """Measures lost samples by comparing arrived samples with the clock. Owned by their reader.

    A driver that loses sound usually raises its overflow flag, but not always, and never says how
    much it lost. Samples arrive at a known rate, so a lag behind the clock is a loss.
    """

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._began = now
        self._usual: float | None = None
        self._missing_since: float | None = None

    def lost(self, now: float, arrived: int, *, overflowed: bool) -> int:
        """Return the samples lost since the last call, usually 0.

        ``arrived`` counts all samples that were read, are waiting in the device, or were declared
        lost before. A flagged overflow counts as at least one sample.
        """
        behind = (now - self._began) * self._rate - arrived
        if self._usual is None or behind < self._usual - TOLERANCE_S * self._rate:
            self._usual = behind  # samples cannot be early: the usual lag was too high
        missing = behind - self._usual
        if not overflowed and missing < TOLERANCE_S * self._rate:
            self._usual += missing * TRACKING
            self._missing_since = None
            return 0
        if self._missing_since is None:
            self._missing_since = now
        if not overflowed and now - self._missing_since < LATE_S:
            return 0
        self._missing_since = None
        return max(int(overflowed), round(missing))
