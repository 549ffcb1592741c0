"""Liveness: whether every part of the ear makes progress, and when to feed the watchdog."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

STALE_S: Final = 10.0
"""Seconds without a beat after which the ear counts as hung: the ``WatchdogSec`` of the unit."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has to make progress for the ear to hear."""

    name: str
    count: Callable[[], int]
    """Returns a number that changes whenever the part makes progress. Any thread may call it."""
    limit_s: float = 0.0
    """Maximum seconds without progress; 0: it makes progress between any two looks."""
    is_needed: Callable[[], bool] = lambda: True
    """While this returns False, the part need not make progress."""


class Beat:
    """Counts the looks at which every part made progress. Owned by the main thread.

    A watchdog is fed only when ``count`` has changed.
    """

    def __init__(
        self, parts: Sequence[Part], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._monotonic = monotonic
        self._seen = [part.count() for part in parts]
        self._moved_at = [monotonic()] * len(parts)
        self._counted_at = monotonic()
        self.count = 0
        """Increases while the ear hears. Any thread may read it."""
        self.stuck: tuple[str, ...] = ()
        """Names of the parts that did not make progress in time. Any thread may read it."""

    def look(self) -> bool:
        """Check every part, and return whether all of them make progress."""
        now = self._monotonic()
        self.stuck = tuple(
            part.name for place, part in enumerate(self._parts) if not self._works(place, now)
        )
        if not self.stuck:
            self.count += 1
            self._counted_at = now
        return not self.stuck

    @property
    def is_alive(self) -> bool:
        """Whether a watchdog of ``STALE_S`` would be fed: no part is stuck, and the beat continues.

        Any thread may read it; it also becomes False when the main thread hangs.
        """
        return not self.stuck and self._monotonic() - self._counted_at <= STALE_S

    def _works(self, place: int, now: float) -> bool:
        part, count = self._parts[place], self._parts[place].count()
        if count != self._seen[place] or not part.is_needed():
            self._seen[place] = count
            self._moved_at[place] = now
        return now - self._moved_at[place] <= part.limit_s


class Watchdog:
    """Decides when to feed the watchdog of the service manager. Owned by the main thread.

    It is due twice in each time-out, and only if the beat has changed since the last time and no
    part is stuck. It has no thread, so a hung main thread does not feed the watchdog.
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
        """Return whether to feed it now; if so, it is not due again for half its time-out."""
        now = self._monotonic()
        if self._every_s == 0 or now - self._fed_at < self._every_s / 2:
            return False
        if self._beat.stuck or self._beat.count == self._fed_count:
            return False
        self._fed_at, self._fed_count = now, self._beat.count
        return True
