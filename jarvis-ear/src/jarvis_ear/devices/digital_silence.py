"""DigitalSilence: a microphone that gives nothing but zeros is not listening to the room."""

from enum import Enum, auto
from typing import Final

from jarvis_ear.units import SAMPLE_RATE

SUSPICIOUS_S: Final = 10
"""A converter's own noise moves the last bit many times a second; a mute switch does not."""


class Change(Enum):
    """What has just become clear about the sound."""

    DEAD = auto()
    """Exact zeros for ten seconds: muted, or the sound server moved us to another source."""
    ALIVE = auto()
    """Something else than zeros again."""


class DigitalSilence:
    """Watches for exact zeros. Owned by whoever reads the device."""

    def __init__(self) -> None:
        self._zeros = 0

    def hear(self, pcm: bytes) -> Change | None:
        """Take the next samples at 16 kHz, and say so when things changed."""
        was_dead = self._is_dead()
        if pcm.count(0) != len(pcm):
            self._zeros = 0
            return Change.ALIVE if was_dead else None
        self._zeros += len(pcm) // 2
        return Change.DEAD if self._is_dead() and not was_dead else None

    def _is_dead(self) -> bool:
        return self._zeros >= SUSPICIOUS_S * SAMPLE_RATE
