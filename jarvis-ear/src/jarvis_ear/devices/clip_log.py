"""ClipLog: tells of a microphone that is too loud, seldom."""

import logging
from typing import Final

from jarvis_ear.journal.sound import SOUND_CLIPPED

EVERY_S: Final = 3600.0
"""A gain that is set too high stays so until somebody has time for it."""

_LOGGER = logging.getLogger(__name__)


class ClipLog:
    """Warns once an hour at most. Owned by the microphone, its reader's thread only."""

    def __init__(self) -> None:
        self._told_at: float | None = None

    def tell(self, source: str, share: float, now: float) -> None:
        """Note at ``now``, in seconds, that ``share`` (0 ... 1) of the last minute is clipped."""
        if self._told_at is not None and now - self._told_at < EVERY_S:
            return
        self._told_at = now
        percent = f"{100 * share:.2g}"
        told = SOUND_CLIPPED.told(SOURCE=source, CLIPPED_PERCENT=percent)
        words = "%s is too loud: %s %% of the last minute is clipped; lower its gain (alsamixer)"
        _LOGGER.warning(words, source, percent, extra=told)
