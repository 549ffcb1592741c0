"""Throttle: rate limits for repeated log lines."""

from collections.abc import Callable
from typing import Final

EVERY_S: Final = 60.0
"""Seconds between two warnings: people see them, and they do not fill a disk."""


class Throttle:
    """Fixed rate limit of a warning. Owned by the part that warns; used by its thread only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: float | None = None

    def now(self) -> bool:
        """Return whether to warn now; after a True, returns False for ``EVERY_S``."""
        at = self._clock()
        if self._last is not None and at - self._last < EVERY_S:
            return False
        self._last = at
        return True


FIRST_S = 10.0
"""Seconds after which a second occurrence is logged; the interval doubles each time."""

MOST_S = 600.0
"""Upper limit of the interval, in seconds; after as long without an occurrence it is reset."""


class Seldom:
    """Rate limit with a growing interval. Owned by the part that logs; used by its thread only.

    A loose cable that fails every second is logged a dozen times in an hour.
    """

    def __init__(self) -> None:
        self._happened_at: float | None = None
        self._told_at = 0.0
        self._wait_s = FIRST_S

    def now(self, at: float) -> bool:
        """Record an occurrence at ``at``, in seconds, and return whether to log it."""
        was_at, self._happened_at = self._happened_at, at
        if was_at is None or at - was_at >= MOST_S:
            self._wait_s = FIRST_S
        elif at - self._told_at < self._wait_s:
            return False
        else:
            self._wait_s = min(2 * self._wait_s, MOST_S)
        self._told_at = at
        return True
