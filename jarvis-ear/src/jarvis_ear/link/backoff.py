"""Back-off: delays between attempts, and which failures are logged."""

from enum import Enum
from typing import Final

STABLE_S: Final = 30.0
"""Seconds that a link must last to end the series of failures; a shorter one continues it."""


class Setback(Enum):
    """Kind of failure, which decides the back-off."""

    UNREACHABLE = "unreachable"
    """No server, or no answer in time: it may return at any moment, and an attempt costs little."""
    FOREIGN = "foreign"
    """An answer that no backend gives: another server may have taken the address."""
    REJECTED = "rejected"
    """The password is wrong: a retry does not help."""


_FLOOR_S: Final = 0.5
"""Minimum seconds between a failed attempt and the next one."""

_UNREACHABLE_CAP_S: Final = 2.5
"""If login and handshake take 3 s, a backend is reached within 6 s of its start.

An attempt against a closed port is one packet and sends no password: a longer delay would save
nothing and cost the person the answer.
"""

_FOREIGN_CAP_S: Final = 30.0
"""Longer, because each attempt sends the password to the server that answers."""

_REJECTED_FLOOR_S: Final = 30.0
"""At most two logins a minute with a rejected password."""

_REJECTED_CAP_S: Final = 60.0

_DOUBLINGS: Final = 8  # enough to reach every cap, and 2.0 ** attempt cannot overflow


def delay_s(setback: Setback, attempt: int, rand: float) -> float:
    """Return the delay in seconds after failure number ``attempt`` in a row (from 1).

    ``rand`` is in 0…1. Full jitter: clients that lose their backend in the same second do not
    return in the same second.
    """
    if setback is Setback.REJECTED:
        return _REJECTED_FLOOR_S + rand * (_REJECTED_CAP_S - _REJECTED_FLOOR_S)
    cap_s = _UNREACHABLE_CAP_S if setback is Setback.UNREACHABLE else _FOREIGN_CAP_S
    ceiling_s = min(cap_s, _FLOOR_S * 2.0 ** min(attempt, _DOUBLINGS))
    return _FLOOR_S + rand * (ceiling_s - _FLOOR_S)


class Series:
    """Counts failures for the back-off, and decides which are logged.

    Owned by the supervisor. A link that comes and goes every second is one series: each kind of
    failure is warned of once, and its end is logged once.
    """

    def __init__(self) -> None:
        self._kind: Setback | None = None
        self._in_a_row = 0
        self._warned: set[Setback] = set()
        self._cleared: set[Setback] = set()

    def failed(self, setback: Setback) -> int:
        """Count a failure and return how many of its kind occurred in a row."""
        self._in_a_row = self._in_a_row + 1 if setback is self._kind else 1
        self._kind = setback
        return self._in_a_row

    def should_warn(self, setback: Setback) -> bool:
        """Return True once for each kind of failure in a series."""
        if setback in self._warned:
            return False
        self._warned.add(setback)
        return True

    def should_clear(self) -> bool:
        """Return True once after each warning."""
        if self._cleared == self._warned:
            return False
        self._cleared = set(self._warned)
        return True

    def lasted(self, for_s: float) -> None:
        """End the series if the lost link lasted at least ``STABLE_S`` seconds."""
        if for_s >= STABLE_S:
            self._kind, self._in_a_row = None, 0
            self._warned.clear()
            self._cleared.clear()
