"""Seal: what one side of the event bus does with a shared key. Pure: it is told the time."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wire import event_bus as wire

SEEN_LETTERS: Final = 10_000
"""Signatures that are remembered; a bus on which more come within a minute is under attack."""


class Seal:
    """Signs what goes out and checks what comes in, once each. Owned by one loop.

    Bound: ``SEEN_LETTERS`` signatures. Policy: one more is refused until the oldest is stale.
    """

    def __init__(self, key: bytes | None, now: Callable[[], float]) -> None:
        """Use ``key``, or none at all; ``now`` is a wall clock."""
        self._key = key
        self._now = now
        self._seen: dict[str, float] = {}

    def write(self, payload: Mapping[str, Any]) -> str:
        """Return the frame that says ``payload``."""
        if self._key is None:
            return wire.write(payload)
        return wire.write(wire.sign(payload, self._key, self._now()))

    def check(self, payload: Mapping[str, Any]) -> None:
        """Return if ``payload`` may be believed, else raise RemoteProtocolError."""
        if self._key is None:
            return
        signature = wire.check(payload, self._key, self._now())
        self._forget_stale()
        if signature in self._seen or len(self._seen) >= SEEN_LETTERS:
            raise RemoteProtocolError("Repeated message; expected each one once")
        self._seen[signature] = self._now()

    def _forget_stale(self) -> None:
        stale = self._now() - 2 * wire.WINDOW_S  # a sender's clock may be one window ahead
        while self._seen and (oldest := next(iter(self._seen))) and self._seen[oldest] < stale:
            del self._seen[oldest]
