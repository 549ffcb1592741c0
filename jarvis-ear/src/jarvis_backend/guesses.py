"""Guesses: wrong passwords, counted by where they come from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from jarvis_backend.message_queue import MessageQueue

WINDOW_S: Final = 60.0
"""How long a count lasts, from its first wrong password on."""

ADDRESSES: Final = 10_000
"""Addresses that are remembered."""


@dataclass(slots=True)
class _Count:
    began_s: float
    wrong: int = 0


class Guesses:
    """Counts, here and in other processes. Lives on the loop.

    Bound: ``ADDRESSES``. Policy: the one whose count began first is forgotten.
    """

    def __init__(self, most: int, queue: MessageQueue, now: Callable[[], float]) -> None:
        """Allow ``most`` within ``WINDOW_S``, by the monotonic clock ``now``."""
        self._most = most
        self._queue = queue
        self._now = now
        self._by_address: dict[str, _Count] = {}

    def are_too_many(self, address: str) -> bool:
        """Whether ``address`` has to wait."""
        return self._current(address).wrong >= self._most

    async def wrong(self, address: str) -> None:
        """Count a wrong password."""
        count = self._current(address)
        elsewhere_too = await self._queue.count(f"wrong:{address}", WINDOW_S)
        count.wrong = max(count.wrong + 1, elsewhere_too)

    def _current(self, address: str) -> _Count:
        count = self._by_address.get(address)
        if count is not None and self._now() - count.began_s < WINDOW_S:
            return count
        self._by_address.pop(address, None)
        if len(self._by_address) >= ADDRESSES:
            del self._by_address[next(iter(self._by_address))]
        fresh = self._by_address[address] = _Count(self._now())
        return fresh
