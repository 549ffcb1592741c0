"""Digital silence, gaps and clipping: faults in the samples themselves."""

import logging
from enum import Enum, auto
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.journal.sound import (
    MICROPHONE_HEARD_AGAIN,
    MICROPHONE_SILENT,
    SOUND_CLIPPED,
    SOUND_LOST,
)
from jarvis_ear.log.throttle import Seldom
from jarvis_ear.units import SAMPLE_RATE

_LOGGER = logging.getLogger(__name__)

SUSPICIOUS_S: Final = 10
"""Seconds of one value. A converter's own noise changes the last bit many times a second."""

DEAD_LINE_S: Final = 60
"""Seconds in which only the last bit changes, as with an unconnected input. A room is louder, but
not in every moment of a quiet night: so this takes longer."""

DEAD_LINE_SPAN: Final = 2
"""The last bit up and down, in samples of 16 bits: -1 to 1, around any constant offset."""


class SilenceChange(Enum):
    """Change of the verdict on the sound."""

    DEAD = auto()
    """One value for 10 s, or changes of the last bit only for 60 s: muted, not connected, or
    switched to another source by the sound server."""
    ALIVE = auto()
    """Sound has returned."""


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

    def hear(self, pcm: bytes, rate: int = SAMPLE_RATE) -> SilenceChange | None:
        """Process the next samples, at ``rate`` per second; return the change, if any."""
        values = np.frombuffer(pcm, "<i2")
        if not len(values):
            return None
        was_dead = self.is_dead
        self._measure(values, len(values) / rate)
        if self.is_dead == was_dead:
            return None
        return SilenceChange.ALIVE if was_dead else SilenceChange.DEAD

    def _measure(self, values: npt.NDArray[np.int16], seconds: float) -> None:
        least, most = int(values.min()), int(values.max())
        if least != most or least != self._value:
            self._same_s = 0.0
        if least == most:
            self._same_s += seconds
        self._value = int(values[-1])
        if self._narrow_s:
            least, most = min(least, self._least), max(most, self._most)
        if most - least > DEAD_LINE_SPAN:
            self._narrow_s = 0.0  # start a new measurement
            return
        self._narrow_s += seconds
        self._least, self._most = least, most


class SilenceLog:
    """Warns of digital silence. Owned by the microphone, its reader's thread only.

    A microphone with a noise gate falls silent after every word; so warnings are throttled.
    """

    def __init__(self) -> None:
        self._seldom = Seldom()
        self._is_told = False
        self._since = 0.0

    def dead(self, source: str, why: str, now: float) -> None:
        """Note at ``now``, in seconds, that ``source`` gives no sound, and ``why``."""
        self._since = now
        self._is_told = self._seldom.now(now)
        level = logging.WARNING if self._is_told else logging.DEBUG
        fields = MICROPHONE_SILENT.fields(SOURCE=source)
        _LOGGER.log(level, "%s", why, extra=fields)

    def alive(self, source: str, now: float) -> None:
        """Note at ``now`` that ``source`` gives sound again."""
        level = logging.INFO if self._is_told else logging.DEBUG
        fields = MICROPHONE_HEARD_AGAIN.fields(
            SOURCE=source, DEAF_MS=round((now - self._since) * 1000)
        )
        _LOGGER.log(level, "%s gives sound again", source, extra=fields)


GAP_EVERY_S: Final = 600.0
"""Six warnings an hour at most, because an overloaded machine loses sound all the time."""


class GapLog:
    """Adds up gaps and warns of the sum. Owned by the microphone, its reader's thread only."""

    def __init__(self) -> None:
        self._untold_ms = 0
        self._told_at: float | None = None

    def tell(self, source: str, lost_ms: int, now: float) -> None:
        """Note a gap that was found at ``now``, in seconds of a monotonic clock."""
        self._untold_ms += lost_ms
        if self._told_at is not None and now - self._told_at < GAP_EVERY_S:
            return
        fields = SOUND_LOST.fields(SOURCE=source, LOST_MS=self._untold_ms)
        _LOGGER.warning("%s lost %d ms of sound", source, self._untold_ms, extra=fields)
        self._untold_ms, self._told_at = 0, now


CLIPPED_EVERY_S: Final = 3600.0
"""Seconds between warnings: a gain that is too high stays so until a person lowers it."""


class ClipLog:
    """Warns of clipping at most once an hour. Owned by the microphone, its reader's thread only."""

    def __init__(self) -> None:
        self._told_at: float | None = None

    def tell(self, source: str, share: float, now: float) -> None:
        """Note at ``now``, in seconds, that ``share`` (0 ... 1) of the last minute is clipped."""
        if self._told_at is not None and now - self._told_at < CLIPPED_EVERY_S:
            return
        self._told_at = now
        percent = f"{100 * share:.2g}"
        fields = SOUND_CLIPPED.fields(SOURCE=source, CLIPPED_PERCENT=percent)
        words = "%s is too loud: %s %% of the last minute is clipped; lower its gain (alsamixer)"
        _LOGGER.warning(words, source, percent, extra=fields)
