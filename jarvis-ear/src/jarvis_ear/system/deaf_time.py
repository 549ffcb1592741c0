"""DeafTime: for how long there was no microphone today."""

from collections.abc import Callable
from datetime import date


class DeafTime:
    """Adds up the time between looks that found the ear deaf. For one thread."""

    def __init__(self, today: Callable[[], date]) -> None:
        self._today = today
        self._day = today()
        self._since: float | None = None
        self.seconds = 0.0
        """So much since midnight, or since the start."""

    def look(self, now: float, *, deaf: bool) -> None:
        """Note at ``now``, in seconds of a clock that nobody sets, whether the ear is deaf."""
        if self._today() != self._day:
            self._day = self._today()
            self.seconds = 0.0
        if self._since is not None:
            self.seconds += now - self._since
        self._since = now if deaf else None
