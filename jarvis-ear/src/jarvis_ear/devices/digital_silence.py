"""DigitalSilence: a microphone that gives always the same value is not listening to the room."""

from enum import Enum, auto
from typing import Final

import numpy as np

from jarvis_ear.units import SAMPLE_RATE

SUSPICIOUS_S: Final = 10
"""A converter's own noise moves the last bit many times a second; a mute switch does not."""


class Change(Enum):
    """What has just become clear about the sound."""

    DEAD = auto()
    """The same value for ten seconds: muted, or the sound server moved us to another source."""
    ALIVE = auto()
    """Sound again."""


class DigitalSilence:
    """Watches for samples that never change. Owned by whoever reads the device."""

    def __init__(self) -> None:
        self._same = 0
        self.value = 0
        """What all of them are."""

    def hear(self, pcm: bytes) -> Change | None:
        """Take the next samples at 16 kHz, and say so when things changed."""
        was_dead = self._is_dead()
        values = np.frombuffer(pcm, "<i2")
        if not len(values):
            return None
        steady = bool((values == values[-1]).all())
        if self._same and (not steady or values[-1] != self.value):
            self._same = 0
        self.value = int(values[-1])
        self._same += len(values) if steady else 0
        if self._is_dead() == was_dead:
            return None
        return Change.ALIVE if was_dead else Change.DEAD

    def _is_dead(self) -> bool:
        return self._same >= SUSPICIOUS_S * SAMPLE_RATE
