"""Backoff: how long to wait before the next attempt, and how outages are logged."""

from enum import Enum
from typing import Final

from jarvis_ear.delivery.events import LinkDown, LinkUp

STABLE_S: Final = 30.0
"""A link that held so long ends the series of failures; a shorter one continues it."""


class Setback(Enum):
    """Why an attempt failed, as far as the wait after it is concerned."""

    UNREACHABLE = "unreachable"
    """Nothing there, or no answer in time: it may be back any moment, and asking costs little."""
    FOREIGN = "foreign"
    """An answer that no backend of ours gives: perhaps somebody else lives there now."""
    REJECTED = "rejected"
    """Our password is wrong: asking again does not make it right."""


_FLOOR_S: Final = 0.5
"""No attempt sooner than this after a failed one."""

_UNREACHABLE_CAP_S: Final = 2.5
"""With a login and a handshake that take 3 s, a backend is reached within 6 s of being there.

An attempt against a closed port is one packet, and no password leaves the machine: a longer wait
would save nothing, and cost the person the answer.
"""

_FOREIGN_CAP_S: Final = 30.0
"""Each attempt shows the password to whoever answers there."""

_REJECTED_FLOOR_S: Final = 30.0
"""At most two logins a minute with a password that was refused."""

_REJECTED_CAP_S: Final = 60.0

_DOUBLINGS: Final = 8  # beyond this, every cap is reached; and 2.0 ** attempt stays a number


def delay_s(setback: Setback, attempt: int, rand: float) -> float:
    """Seconds to wait after the ``attempt``-th failure in a row (from 1), ``rand`` in 0…1.

    Full jitter: ears that lost their backend in the same second do not come back in one.
    """
    if setback is Setback.REJECTED:
        return _REJECTED_FLOOR_S + rand * (_REJECTED_CAP_S - _REJECTED_FLOOR_S)
    cap_s = _UNREACHABLE_CAP_S if setback is Setback.UNREACHABLE else _FOREIGN_CAP_S
    ceiling_s = min(cap_s, _FLOOR_S * 2.0 ** min(attempt, _DOUBLINGS))
    return _FLOOR_S + rand * (ceiling_s - _FLOOR_S)


class _Link(Enum):
    NEW = "new"  # never up, and nobody was told anything
    UP = "up"
    REPLACED = "replaced"  # thrown away by ourselves: back before anybody notices
    DOWN = "down"


class Outage:
    """Turns every single success and failure into one event per change. Owned by the supervisor."""

    def __init__(self, url: str) -> None:
        self.url = url
        """Address of the backend, as people may see it."""
        self._link = _Link.NEW
        self._gone_since: float | None = None

    def replaced(self, now: float) -> None:
        """We threw the link away ourselves: no news, unless the next attempt fails."""
        self._link = _Link.REPLACED
        self._gone_since = now

    def failed(self, reason: str, now: float) -> LinkDown | None:
        """Return the event when this loss or failed attempt is news."""
        if self._link is _Link.DOWN:
            return None
        if self._link is _Link.UP:
            self._gone_since = now
        self._link = _Link.DOWN
        return LinkDown(reason)

    def reached(self, now: float) -> LinkUp | None:
        """Return the event when the success of this attempt is news."""
        known = self._link is _Link.REPLACED
        after_s = None if self._gone_since is None else now - self._gone_since
        self._link, self._gone_since = _Link.UP, None
        return None if known else LinkUp(self.url, after_s)


class Series:
    """Counts failures for the back-off, and says what is worth a line in the log.

    Owned by the supervisor. A link that comes and goes every second is one series: each kind of
    failure is warned of once, and it is said once that it is over.
    """

    def __init__(self) -> None:
        self._kind: Setback | None = None
        self._in_a_row = 0
        self._warned: set[Setback] = set()
        self._answered: set[Setback] = set()

    def failed(self, setback: Setback) -> int:
        """Count a failure, and return how many of its kind there were in a row."""
        self._in_a_row = self._in_a_row + 1 if setback is self._kind else 1
        self._kind = setback
        return self._in_a_row

    def worth_a_warning(self, setback: Setback) -> bool:
        """Whether this failure is news: true once for each kind and series."""
        if setback in self._warned:
            return False
        self._warned.add(setback)
        return True

    def worth_an_all_clear(self) -> bool:
        """Whether a success is news: true once after each warning."""
        if self._answered == self._warned:
            return False
        self._answered = set(self._warned)
        return True

    def held(self, for_s: float) -> None:
        """End the series if the link that is now lost had held long enough."""
        if for_s < STABLE_S:
            return
        self._kind, self._in_a_row = None, 0
        self._warned.clear()
        self._answered.clear()
