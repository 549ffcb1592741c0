"""SilenceLog: tells of a microphone that works and gives no sound."""

import logging

from jarvis_ear.devices.seldom import Seldom
from jarvis_ear.journal.sound import MICROPHONE_HEARD_AGAIN, MICROPHONE_SILENT

_LOGGER = logging.getLogger(__name__)


class SilenceLog:
    """Warns of silence that no room has. Owned by the microphone, its reader's thread only.

    A microphone with a noise gate falls silent after every word; that is told seldom.
    """

    def __init__(self) -> None:
        self._seldom = Seldom()
        self._is_told = False
        self._since = 0.0

    def dead(self, source: str, why: str, now: float) -> None:
        """Note at ``now``, in seconds, that it gives no sound, and ``why``."""
        self._since = now
        self._is_told = self._seldom.now(now)
        level = logging.WARNING if self._is_told else logging.DEBUG
        told = MICROPHONE_SILENT.told(SOURCE=source)
        _LOGGER.log(level, "%s", why, extra=told)

    def alive(self, source: str, now: float) -> None:
        """Note at ``now`` that there is sound again."""
        level = logging.INFO if self._is_told else logging.DEBUG
        told = MICROPHONE_HEARD_AGAIN.told(SOURCE=source, DEAF_MS=round((now - self._since) * 1000))
        _LOGGER.log(level, "%s gives sound again", source, extra=told)
