"""Unasked: sentences of speech that came while no turn waited for a reply."""

import math
from typing import Final

QUIET_S: Final = 2.0
"""A burst is over when nothing of it came for so long."""

LONGEST_S: Final = 60.0
"""One that does not end is told of so often."""


class Unasked:
    """Counts them, one burst after the other. Pure; owned by the outbox, the network thread only.

    Times are seconds of the outbox's clock.
    """

    def __init__(self) -> None:
        self._chunks = 0
        self._began_at = 0.0
        self._came_at = 0.0

    @property
    def deadline(self) -> float:
        """When the burst is over, if nothing more comes; infinite if there is none."""
        if not self._chunks:
            return math.inf
        return min(self._came_at + QUIET_S, self._began_at + LONGEST_S)

    def add(self, now: float) -> None:
        """Count one."""
        if not self._chunks:
            self._began_at = now
        self._chunks += 1
        self._came_at = now

    def take(self) -> int:
        """End the burst, and return how many it had; 0 if there is none."""
        chunks, self._chunks = self._chunks, 0
        return chunks
