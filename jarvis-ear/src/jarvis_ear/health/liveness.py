"""Liveness: whether every part of the ear still works, and the watchdog that is fed from it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

OFTEN_S = 0.0
"""Patience of a part that has to move between any two looks."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that has to move for the ear to hear."""

    name: str
    count: Callable[[], int]
    """A number that changes with every piece of its work. Any thread may ask."""
    patience_s: float = OFTEN_S
    """For so long it may rest between two pieces."""
    is_needed: Callable[[], bool] = lambda: True
    """While this says no, it may rest for as long as it likes."""


class Beat:
    """Counts the looks at which every part was found at work. Owned by the main thread.

    Whoever feeds a watchdog feeds it when ``count`` has changed, and at no other time.
    """

    def __init__(
        self, parts: Sequence[Part], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._monotonic = monotonic
        self._seen = [part.count() for part in parts]
        self._moved_at = [monotonic()] * len(parts)
        self.count = 0
        """Goes up while the ear hears. Any thread may ask."""
        self.stuck: tuple[str, ...] = ()
        """Names of the parts that did not move when they should have. Any thread may ask."""

    def look(self) -> bool:
        """Look at every part, and return whether all of them are at work."""
        now = self._monotonic()
        self.stuck = tuple(
            part.name for place, part in enumerate(self._parts) if not self._works(place, now)
        )
        self.count += not self.stuck
        return not self.stuck

    def _works(self, place: int, now: float) -> bool:
        part, count = self._parts[place], self._parts[place].count()
        if count != self._seen[place] or not part.is_needed():
            self._seen[place] = count
            self._moved_at[place] = now
        return now - self._moved_at[place] <= part.patience_s


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
