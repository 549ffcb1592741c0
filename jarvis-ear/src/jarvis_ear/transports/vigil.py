"""Vigil: whether a link still lives."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import NoReturn

from jarvis_ear.errors import ClosedInOrder, Disconnected
from jarvis_ear.transports.timing import Timing


class Vigil:
    """Remembers when the backend was last heard, and why the link ended. Owned by one link.

    A backend that never answers pings is not held to them: the keepalive of the kernel, or that of
    the wire, is left to tell.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._heard_at = math.inf
        self._answers_pings = False
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the link is no more, once it is."""
        self._error: type[Disconnected] = Disconnected

    def heard(self, *, pong: bool = False) -> None:
        """Note a word of the backend."""
        self._heard_at = asyncio.get_running_loop().time()
        self._answers_pings |= pong

    def end(self, reason: str, *, in_order: bool = False) -> None:
        """Note that the link is no more; the first reason counts.

        ``in_order``: the other side has closed it as its protocol wants it done.
        """
        if not self.ended.done():
            self._error = ClosedInOrder if in_order else Disconnected
            self.ended.set_result(reason)

    async def watch(self, ping: Callable[[], Awaitable[None]]) -> NoReturn:
        """Ask again and again whether the backend is there, until it is not."""
        while True:
            await ping()
            await asyncio.wait({self.ended}, timeout=min(self._timing.ping_s, self._patience_s()))
            if self.ended.done():
                raise self._error(self.ended.result())
            if self._patience_s() <= 0:
                raise Disconnected(f"no word of the backend for {self._timing.dead_s:g} s")

    def _patience_s(self) -> float:
        """How long to wait for a word."""
        if not self._answers_pings:
            return math.inf
        return self._heard_at + self._timing.dead_s - asyncio.get_running_loop().time()
