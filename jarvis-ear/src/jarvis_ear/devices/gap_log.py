"""GapLog: tells of lost sound, seldom."""

import logging
from typing import Final

from jarvis_ear.journal.sound import SOUND_LOST

EVERY_S: Final = 600.0
"""A machine that is too busy loses sound all the time: six lines an hour say so well enough."""

_LOGGER = logging.getLogger(__name__)


class GapLog:
    """Adds up gaps, and warns of the sum. Owned by the microphone, its reader's thread only."""

    def __init__(self) -> None:
        self._untold_ms = 0
        self._told_at: float | None = None

    def tell(self, source: str, lost_ms: int, now: float) -> None:
        """Note a gap that was found at ``now``, in seconds of a clock that nobody sets."""
        self._untold_ms += lost_ms
        if self._told_at is not None and now - self._told_at < EVERY_S:
            return
        told = SOUND_LOST.told(SOURCE=source, LOST_MS=self._untold_ms)
        _LOGGER.warning("%s lost %d ms of sound", source, self._untold_ms, extra=told)
        self._untold_ms, self._told_at = 0, now
