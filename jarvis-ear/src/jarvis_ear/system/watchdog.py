"""Watchdog: says that all is well, if it is."""

import time
from collections.abc import Callable

from jarvis_ear.system.beat import Beat


class Watchdog:
    """Decides when the watchdog of the service manager is fed. Owned by the main thread.

    It is fed twice in the time it waits, and only if the beat has gone on since the last time and
    no part is stuck. There is no thread for it: a main thread that hangs feeds nothing either.
    """

    def __init__(
        self, beat: Beat, every_s: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._beat = beat
        self._every_s = every_s
        self._monotonic = monotonic
        self._fed_at = float("-inf")
        self._fed_count = 0

    def is_due(self) -> bool:
        """Return whether to feed it now, and if so, not again for half its time."""
        now = self._monotonic()
        if self._every_s == 0 or now - self._fed_at < self._every_s / 2:
            return False
        if self._beat.stuck or self._beat.count == self._fed_count:
            return False
        self._fed_at, self._fed_count = now, self._beat.count
        return True
