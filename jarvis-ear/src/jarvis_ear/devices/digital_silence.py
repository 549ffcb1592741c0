"""DigitalSilence: a microphone that gives nothing but its own last bit does not hear the room."""

from enum import Enum, auto
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.units import SAMPLE_RATE

SUSPICIOUS_S: Final = 10
"""A converter's own noise moves the last bit many times a second; a mute switch does not."""

DEAD_LINE_S: Final = 60
"""A converter whose input is not connected moves its last bit and no more. A room is louder, but
for a moment in a quiet night: so this takes longer."""

DEAD_LINE_SPAN: Final = 2
"""The last bit up and down, in samples of 16 bits: -1 to 1, around any constant offset."""


class Change(Enum):
    """What has just become clear about the sound."""

    DEAD = auto()
    """The same value for ten seconds, or the last bit for a minute: muted, not connected, or the
    sound server moved us to another source."""
    ALIVE = auto()
    """Sound again."""


class DigitalSilence:
    """Watches for samples that are no sound. Owned by whoever reads the device."""

    def __init__(self) -> None:
        self._same_s = 0.0  # for so long there was one value
        self._narrow_s = 0.0  # for so long there were two or three values side by side
        self._least = self._most = 0  # of those
        self._value = 0

    @property
    def is_dead(self) -> bool:
        """Whether that is no sound of a room."""
        return self._same_s >= SUSPICIOUS_S or self._narrow_s >= DEAD_LINE_S

    @property
    def what(self) -> str:
        """What all of the samples are, in words."""
        if self._same_s < SUSPICIOUS_S:
            return f"values from {self._least} to {self._most}"
        return f"the value {self._value}" if self._value else "zeros"

    def hear(self, pcm: bytes, rate: int = SAMPLE_RATE) -> Change | None:
        """Take the next samples, ``rate`` of them a second, and say so when things changed."""
        values = np.frombuffer(pcm, "<i2")
        if not len(values):
            return None
        was_dead = self.is_dead
        self._measure(values, len(values) / rate)
        if self.is_dead == was_dead:
            return None
        return Change.ALIVE if was_dead else Change.DEAD

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
            self._narrow_s = 0.0  # what follows is measured anew
            return
        self._narrow_s += seconds
        self._least, self._most = least, most
