"""Outage: says once that the link is gone, and once that it is back."""

from enum import Enum

from jarvis_ear.delivery.events import LinkDown, LinkUp


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
