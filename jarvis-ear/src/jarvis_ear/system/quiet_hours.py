"""QuietHours: the part of every day in which the ear is muted by the clock."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the clock on the wall to another, over midnight if need be.

    Only the reading of the clock counts, so days of 23 and of 25 hours need no rule of their own.
    """

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read "23:00-07:00", which the options have checked; None for an empty text."""
        begin, _, end = text.partition("-")
        return cls(time.fromisoformat(begin), time.fromisoformat(end)) if text else None

    def night(self, wall: datetime) -> date | None:
        """Return the day on which the quiet hours around ``wall`` began; None outside of them."""
        now = wall.time()
        if self.begin <= now and (now < self.end or self.end < self.begin):
            return wall.date()
        if self.end < self.begin and now < self.end:
            return wall.date() - timedelta(days=1)
        return None
