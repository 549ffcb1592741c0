"""Throttle: the rate limit of repeated log lines."""

from typing import Final

WARN_S: Final = 60.0
"""Seconds between two warnings of a fault that lasts: people see them, and no disk fills up."""

RARE_S: Final = 600.0
"""Upper limit of the interval between two lines, in seconds; calm of this length resets it."""


class Throttle:
    """Decides which occurrences are logged. Owned by the part that logs; used by its thread only.

    The first occurrence is logged, the next one after ``first_s`` seconds at the earliest. Each
    logged line doubles this interval up to ``most_s``; ``most_s`` without an occurrence reset it.
    If both are equal, the interval is fixed. Times are seconds of any clock that never jumps back.
    """

    def __init__(self, first_s: float = 10.0, most_s: float = RARE_S) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._interval_s = first_s
        self._happened_at: float | None = None
        self._logged_at = 0.0
        self.allowed = False
        """Result of the last call: whether to log the end of the trouble too."""

    def allows(self, now: float, *, least_s: float = 0.0) -> bool:
        """Note an occurrence at ``now``; return whether to log it.

        ``least_s`` is a minimum interval for this occurrence, for one that tells nothing new.
        """
        last, self._happened_at = self._happened_at, now
        is_calm = last is None or now - last >= self._most_s
        self.allowed = is_calm or now - self._logged_at >= max(self._interval_s, least_s)
        if self.allowed:
            self._interval_s = self._first_s if is_calm else min(2 * self._interval_s, self._most_s)
            self._logged_at = now
        return self.allowed
