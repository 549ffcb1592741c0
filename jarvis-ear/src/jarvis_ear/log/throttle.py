"""Throttle: log lines that come again and again."""

from collections.abc import Callable
from typing import Final

EVERY_S: Final = 60.0
"""Often enough to be seen, seldom enough to fill no disk."""


class Throttle:
    """Says whether it is time to warn again. Owned by whoever warns; its thread only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: float | None = None

    def now(self) -> bool:
        """Return whether to warn now, and if so, not again for a minute."""
        at = self._clock()
        if self._last is not None and at - self._last < EVERY_S:
            return False
        self._last = at
        return True


FIRST_S = 10.0
"""A second time is news after this time; each further one after twice as long."""

MOST_S = 600.0
"""But not after more than this: what has not happened for so long is over."""


class Seldom:
    """Says whether to tell of it now. Owned by whoever tells; its thread only.

    A loose cable comes and goes every second: in an hour that is told a dozen times.
    """

    def __init__(self) -> None:
        self._happened_at: float | None = None
        self._told_at = 0.0
        self._wait_s = FIRST_S

    def now(self, at: float) -> bool:
        """Note that it happened at ``at``, in seconds, and return whether that is told."""
        was_at, self._happened_at = self._happened_at, at
        if was_at is None or at - was_at >= MOST_S:
            self._wait_s = FIRST_S
        elif at - self._told_at < self._wait_s:
            return False
        else:
            self._wait_s = min(2 * self._wait_s, MOST_S)
        self._told_at = at
        return True
