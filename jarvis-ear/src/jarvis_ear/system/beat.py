"""Beat: the proof that the ear hears, not only that it runs."""

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
