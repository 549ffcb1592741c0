"""Seldom: how often to tell of what happens again and again."""

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
