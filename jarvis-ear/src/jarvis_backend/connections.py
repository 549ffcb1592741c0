"""The limit on connections, in all and from each address, and on open files."""

import asyncio
import logging
import resource
from typing import Final

from jarvis_backend.config import Limits
from jarvis_backend.host_check import origin_of
from jarvis_backend.process import CLIENT_LOG

_LOG: Final = logging.getLogger(CLIENT_LOG)

WIRES: Final = 8
"""Multiple of ``limits.connections`` that may be open: five wires, one of which counts twice while
its clients log in, and two more for requests."""

REQUESTS: Final = 64
"""Connections that may be open besides, however small ``limits.connections`` is."""

SHARE: Final = 2
"""One address may have this fraction (1/2) of all connections."""

RESERVED_FILES: Final = 256
"""Open files besides these: engines, the queue, and connections that are being refused."""


def max_connections(limits: Limits) -> int:
    """Return the number of connections that ``limits`` allow in one process."""
    return WIRES * limits.connections + REQUESTS


def files_needed(limits: Limits) -> int:
    """Return the number of open files that one process needs."""
    return max_connections(limits) + RESERVED_FILES


def raise_file_limit(limits: Limits) -> str:
    """Raise the limit on open files to what ``limits`` need; return a warning if that fails."""
    needed = files_needed(limits)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return ""
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    except (OSError, ValueError):
        allowed = hard = soft
    if allowed >= needed:
        return ""
    return (
        f"limits.connections: {limits.connections} need {needed} open files, but {hard} are "
        f"allowed; expected LimitNOFILE={needed} (ulimit -n), or fewer connections"
    )


def connections_for(limits: Limits) -> "Connections":
    """Return the limit by ``limits`` and by the number of files that this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    maximum = max_connections(limits)
    if soft != resource.RLIM_INFINITY:
        maximum = max(SHARE, min(maximum, soft - RESERVED_FILES))
    return Connections(maximum, maximum // SHARE)


class Connections:
    """Counts the connections of a server by address. Lives on the loop.

    A connection is waiting while its client has to act: to complete a request, to send the next
    one, or to read an answer. Bound: ``max_total``, and ``max_each`` from one address. Policy: a
    new connection replaces the one that has waited longest, of its own address or, if the total is
    too high, of the address that has most. If none is waiting, it is refused. Counter:
    ``refused``, for both.
    """

    def __init__(self, max_total: int, max_each: int) -> None:
        self._max_total = max_total
        self._max_each = max_each
        self._origins: dict[asyncio.Transport, str] = {}
        self._by_origin: dict[str, set[asyncio.Transport]] = {}
        self._waiting: dict[str, dict[asyncio.Transport, None]] = {}
        self.refused = 0

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._origins)

    def add(self, transport: asyncio.Transport, peer: str) -> bool:
        """Add a connection from the address ``peer``; False if it is refused."""
        origin = origin_of(peer)
        if not self._makes_room(origin):
            return False
        self._origins[transport] = origin
        self._by_origin.setdefault(origin, set()).add(transport)
        return True

    def remove(self, transport: asyncio.Transport) -> None:
        """Remove a connection. Does nothing if it has been removed already."""
        origin = self._origins.pop(transport, None)
        if origin is None:
            return
        self.mark_busy(transport, origin)
        own = self._by_origin[origin]
        own.discard(transport)
        if not own:
            del self._by_origin[origin]

    def mark_waiting(self, transport: asyncio.Transport) -> None:
        """Note that the client has to act next. Idempotent."""
        origin = self._origins.get(transport)
        if origin is not None:
            self._waiting.setdefault(origin, {}).setdefault(transport)

    def mark_busy(self, transport: asyncio.Transport, origin: str | None = None) -> None:
        """Note that the server has to act next."""
        origin = origin or self._origins.get(transport, "")
        waiting = self._waiting.get(origin, {})
        waiting.pop(transport, None)
        if not waiting:
            self._waiting.pop(origin, None)

    def _makes_room(self, origin: str) -> bool:
        own = len(self._by_origin.get(origin, ()))
        if own >= self._max_each:
            maximum, crowded = self._max_each, origin
        elif len(self) >= self._max_total:
            maximum, crowded = self._max_total, self._largest()
        else:
            return True
        self.refused += 1
        made_room = self._drop_longest(crowded)
        _LOG.warning(
            "%d connections are open %s, and no more are allowed: %s is closed",
            maximum,
            f"from {origin}" if own >= self._max_each else "in all",
            "the one that has waited longest" if made_room else "a new one",
        )
        return made_room

    def _largest(self) -> str:
        """Return the address with most connections, of those with waiting connections."""
        return max(self._waiting, key=lambda one: len(self._by_origin[one]), default="")

    def _drop_longest(self, origin: str) -> bool:
        longest = next(iter(self._waiting.get(origin, ())), None)
        if longest is None:
            return False
        self.remove(longest)
        longest.abort()
        return True
