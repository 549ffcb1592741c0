"""Connections: how many there are, from where, and whose turn it is to make room."""

import asyncio
import logging
import resource
from typing import Final

from jarvis_backend.config import Limits
from jarvis_backend.host_check import origin_of
from jarvis_backend.process import STRANGERS

_LOG: Final = logging.getLogger(STRANGERS)

WIRES: Final = 8
"""In all there may be so many times ``limits.connections``: five wires, one of them twice over
while its clients have yet to log in, and as much again for requests."""

REQUESTS: Final = 64
"""And so many more, however small ``limits.connections`` is."""

SHARE: Final = 2
"""One address may have one of so many parts of all."""

RESERVED_FILES: Final = 256
"""Open files that are none of these: engines, the queue, and connections that are just being
refused."""


def most_connections(limits: Limits) -> int:
    """Return how many connections one process accepts at once, by ``limits`` alone."""
    return WIRES * limits.connections + REQUESTS


def files_needed(limits: Limits) -> int:
    """Return how many open files one process needs for all its connections."""
    return most_connections(limits) + RESERVED_FILES


def raise_file_limit(limits: Limits) -> str:
    """Raise the limit of this process on open files to what ``limits`` need.

    Return a warning if it may not be raised so far, else nothing.
    """
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
    """Make the bound for ``limits`` that also fits the open files of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = most_connections(limits)
    if soft != resource.RLIM_INFINITY:
        most = max(SHARE, min(most, soft - RESERVED_FILES))
    return Connections(most, most // SHARE)


class Connections:
    """Counts the connections of a server by where they come from. Lives on the loop.

    Bound: ``most`` in all and ``most_each`` from one address. Policy: at the bound, the connection
    that was waited for longest (to finish its request, to begin the next one, or to read its
    answer) is closed for the new one: of this address, or, when all are too many, of the address
    that has most. If none is waited for, the new one is refused. Counter: ``refused``, for both.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._origins: dict[asyncio.Transport, str] = {}
        self._by_origin: dict[str, set[asyncio.Transport]] = {}
        self._awaited: dict[str, dict[asyncio.Transport, None]] = {}
        self.refused = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._origins)

    def enter(self, transport: asyncio.Transport, peer: str) -> bool:
        """Count a connection from the address ``peer``; False if there is no room for it."""
        origin = origin_of(peer)
        if not self._makes_room(origin):
            return False
        self._origins[transport] = origin
        self._by_origin.setdefault(origin, set()).add(transport)
        return True

    def leave(self, transport: asyncio.Transport) -> None:
        """Count it no longer. Does nothing if it is not counted."""
        origin = self._origins.pop(transport, None)
        if origin is None:
            return
        self.serve(transport, origin)
        own = self._by_origin[origin]
        own.discard(transport)
        if not own:
            del self._by_origin[origin]

    def await_more(self, transport: asyncio.Transport) -> None:
        """Note that the client has to act next; once is enough."""
        origin = self._origins.get(transport)
        if origin is not None:
            self._awaited.setdefault(origin, {}).setdefault(transport)

    def serve(self, transport: asyncio.Transport, origin: str | None = None) -> None:
        """Note that we have to act next."""
        origin = origin or self._origins.get(transport, "")
        awaited = self._awaited.get(origin, {})
        awaited.pop(transport, None)
        if not awaited:
            self._awaited.pop(origin, None)

    def _makes_room(self, origin: str) -> bool:
        own = len(self._by_origin.get(origin, ()))
        if own >= self._most_each:
            most, crowd = self._most_each, origin
        elif len(self) >= self._most:
            most, crowd = self._most, self._largest()
        else:
            return True
        self.refused += 1
        made_room = self._drop_longest(crowd)
        _LOG.warning(
            "%d connections are open %s, and no more are allowed: %s is closed",
            most,
            f"from {origin}" if own >= self._most_each else "in all",
            "the one that has kept us waiting longest" if made_room else "a new one",
        )
        return made_room

    def _largest(self) -> str:
        """Return the origin with most connections, of those that keep us waiting."""
        return max(self._awaited, key=lambda one: len(self._by_origin[one]), default="")

    def _drop_longest(self, origin: str) -> bool:
        longest = next(iter(self._awaited.get(origin, ())), None)
        if longest is None:
            return False
        self.leave(longest)
        longest.abort()
        return True
