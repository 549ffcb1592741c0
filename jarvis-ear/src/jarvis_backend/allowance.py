"""Allowance: how many messages somebody may send."""

from collections.abc import Callable
from typing import Final

BURST_S: Final = 5
"""Messages of so many seconds may come at once, after a hiccup of the network."""


class TokenBucket:
    """Grows with time and shrinks with every message. For one connection."""

    def __init__(self, per_s: int, now: Callable[[], float]) -> None:
        """Allow ``per_s`` on average, by the monotonic clock ``now``."""
        self._per_s = per_s
        self._now = now
        self._most = float(per_s * BURST_S)
        self._left = self._most
        self._asked_at = now()

    def take(self) -> bool:
        """Take one message; False if there are too many."""
        now = self._now()
        self._left = min(self._most, self._left + (now - self._asked_at) * self._per_s)
        self._asked_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
