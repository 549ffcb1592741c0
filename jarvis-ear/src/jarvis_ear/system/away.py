"""Away: since when the backend cannot be reached."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

PATIENCE_S: Final = 2.0
"""A link that is replaced, or dialled for the first time, is away for less."""


class Away:
    """Remembers when the link was up for the last time. Owned by the main thread."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._gone_at: float | None = None
        self._since = ""

    def look(self, *, connected: bool, refused: bool) -> str:
        """Say what is wrong with the backend, several times a second; nothing: it is there."""
        if connected:
            self._gone_at = None
            return ""
        if self._gone_at is None:
            self._gone_at = self._monotonic()
            self._since = f"{self._wall():%H:%M}"
        if refused:
            return "the backend does not accept the password"
        away_s = self._monotonic() - self._gone_at
        return f"backend away since {self._since}" if away_s >= PATIENCE_S else ""
