"""Rarely: lets one warning a minute through."""

from collections.abc import Callable
from typing import Final

EVERY_S: Final = 60.0
"""Often enough to be seen, seldom enough to fill no disk."""


class Rarely:
    """Says whether it is time to warn again. Owned by whoever warns; its thread only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: float | None = None

    def now(self) -> bool:
        """Return whether to warn now, and if so, not again for a minute."""
        at = self._clock()
        if self._last is not None and at - self._last < EVERY_S:
            return False
        self._last = at
        return True
