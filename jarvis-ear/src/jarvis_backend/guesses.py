"""Guesses: wrong passwords, counted by where they come from, and how long to wait after them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from jarvis_backend.logs import STRANGERS
from jarvis_backend.message_queue import MessageQueue
from jarvis_backend.origin import origin_of

_LOG: Final = logging.getLogger(STRANGERS)

WINDOW_S: Final = 60.0
"""How long a count lasts, from its first wrong password on."""

FIRST_WAIT_S: Final = 1.0
"""Half of the wrong passwords of a minute cost no wait. The next one costs this, and each further
one twice as much."""

MOST_WAIT_S: Final = 60.0
"""But not more than this."""

FORGIVEN_S: Final = 900.0
"""So long after the last wrong password the waits begin anew, as after a right one."""

ADDRESSES: Final = 10_000
"""Addresses that are remembered."""


@dataclass(slots=True)
class _Count:
    began_s: float
    wrong: int = 0
    """Within the window."""
    in_a_row: int = 0
    last_s: float = 0.0
    """When the last wrong one came."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class LoginLimiter:
    """Counts, here and in other processes. Lives on the loop.

    All addresses of an IPv6 network are one. Bound: ``ADDRESSES``. Policy: the one whose count
    began first is forgotten.
    """

    def __init__(self, most: int, queue: MessageQueue, now: Callable[[], float]) -> None:
        """Allow ``most`` within ``WINDOW_S``, by the monotonic clock ``now``."""
        self._most = most
        self._queue = queue
        self._now = now
        self._by_address: dict[str, _Count] = {}

    @asynccontextmanager
    async def turn_of(self, address: str) -> AsyncGenerator[float, None]:
        """Wait until no other guess of ``address`` is looked at; yield the seconds it has to wait.

        With more than 0 it may not guess.
        """
        count = self._current(address)
        async with count.turn:  # or a hundred guesses at once would be looked at before any counts
            yield self._wait_s(self._current(address))

    async def wrong(self, address: str) -> None:
        """Count a wrong password."""
        origin = origin_of(address)
        count = self._current(address)
        count.wrong += 1
        count.in_a_row += 1
        count.last_s = self._now()
        elsewhere_too = await self._queue.count(f"wrong:{origin}", WINDOW_S)
        count.wrong = max(count.wrong, elsewhere_too)
        _LOG.warning("a wrong password from %s, %d in a row", origin, count.in_a_row)

    def right(self, address: str) -> None:
        """Begin the waits anew; the count of the minute stays."""
        self._current(address).in_a_row = 0

    def _wait_s(self, count: _Count) -> float:
        now = self._now()
        window_s = count.began_s + WINDOW_S - now if count.wrong >= self._most else 0.0
        costly = count.in_a_row - max(1, self._most // 2)
        if costly < 1:
            return window_s
        wait_s = min(MOST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(costly - 1, 10))
        return max(window_s, count.last_s + wait_s - now)

    def _current(self, address: str) -> _Count:
        origin, now = origin_of(address), self._now()
        count = self._by_address.get(origin)
        if count is None:
            if len(self._by_address) >= ADDRESSES:
                del self._by_address[next(iter(self._by_address))]
            count = self._by_address[origin] = _Count(now)
        if now - count.began_s >= WINDOW_S:
            count.began_s, count.wrong = now, 0
        if now - count.last_s >= FORGIVEN_S:
            count.in_a_row = 0
        return count
