"""Back-off: delays between attempts, and which failures are reported."""

from enum import Enum
from typing import Final

from jarvis_ear.delivery.events import LinkDown, LinkUp

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


class _Link(Enum):
    NEW = "new"  # never up, and nothing reported yet
    UP = "up"
    REPLACED = "replaced"  # discarded by us: a quick reconnect is not reported
    DOWN = "down"


class Outage:
    """Reduces successes and failures to one event per change. Owned by the supervisor."""

    def __init__(self, url: str) -> None:
        self.url = url
        """Address of the backend, safe to show."""
        self._link = _Link.NEW
        self._gone_since: float | None = None

    def replaced(self, now: float) -> None:
        """Note that we discarded the link: an event follows only if the next attempt fails."""
        self._link = _Link.REPLACED
        self._gone_since = now

    def failed(self, reason: str, now: float) -> LinkDown | None:
        """Return the event if this loss or failed attempt is a change."""
        if self._link is _Link.DOWN:
            return None
        if self._link is _Link.UP:
            self._gone_since = now
        self._link = _Link.DOWN
        return LinkDown(reason)

    def reached(self, now: float) -> LinkUp | None:
        """Return the event if this success is a change."""
        known = self._link is _Link.REPLACED
        after_s = None if self._gone_since is None else now - self._gone_since
        self._link, self._gone_since = _Link.UP, None
        return None if known else LinkUp(self.url, after_s)


class Series:
    """Counts failures for the back-off, and decides which are logged.

    Owned by the supervisor. A link that comes and goes every second is one series: each kind of
    failure is warned of once, and its end is logged once.
    """

    def __init__(self) -> None:
        self._kind: Setback | None = None
        self._in_a_row = 0
        self._warned: set[Setback] = set()
        self._answered: set[Setback] = set()

    def failed(self, setback: Setback) -> int:
        """Count a failure and return how many of its kind occurred in a row."""
        self._in_a_row = self._in_a_row + 1 if setback is self._kind else 1
        self._kind = setback
        return self._in_a_row

    def worth_a_warning(self, setback: Setback) -> bool:
        """Return True once for each kind of failure in a series."""
        if setback in self._warned:
            return False
        self._warned.add(setback)
        return True

    def worth_an_all_clear(self) -> bool:
        """Return True once after each warning."""
        if self._answered == self._warned:
            return False
        self._answered = set(self._warned)
        return True

    def held(self, for_s: float) -> None:
        """End the series if the lost link lasted at least ``STABLE_S`` seconds."""
        if for_s < STABLE_S:
            return
        self._kind, self._in_a_row = None, 0
        self._warned.clear()
        self._answered.clear()
