"""NoiseFloor: how loud the room is while nobody speaks."""

from collections import deque
from typing import Final

from jarvis_ear.audio.level import SILENCE
from jarvis_ear.units import Dbfs

WINDOW: Final = 300
"""Levels that are remembered: half a minute of one every tenth of a second."""

SHARE: Final = 10
"""One level in so many is quieter than the floor: speech has pauses, and they are the room."""


class NoiseFloor:
    """Remembers levels, at most 300; the oldest go. For one thread."""

    def __init__(self) -> None:
        self._levels: deque[Dbfs] = deque(maxlen=WINDOW)

    def hear(self, level: Dbfs) -> None:
        """Take in the newest level."""
        self._levels.append(level)

    @property
    def level(self) -> Dbfs:
        """The floor of the last half minute."""
        ordered = sorted(self._levels)
        return ordered[len(ordered) // SHARE] if ordered else SILENCE
