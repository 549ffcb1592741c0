"""FloodGate: a token bucket for each connection."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jarvis_backend.config import Limits

BURST_S: Final = 5
"""Messages of so many seconds may come at once, after a hiccup of the network."""


class TokenBucket:
    """Grows with time and shrinks with every message. For one connection."""

    def __init__(self, per_s: int, now: Callable[[], float]) -> None:
        """Allow ``per_s`` on average, by the monotonic clock ``now``."""
        self._per_s = per_s
        self._now = now
        self._most = float(per_s * BURST_S)
        self._left = self._most
        self._asked_at = now()

    def take(self) -> bool:
        """Take one message; False if there are too many."""
        now = self._now()
        self._left = min(self._most, self._left + (now - self._asked_at) * self._per_s)
        self._asked_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


VIOLATION: Final = 1008
TRY_LATER: Final = 1013
"""Close codes (RFC 6455, 7.4.1)."""

WAITING: Final = 2
"""So many times ``limits.connections`` may be open: some have yet to say who they are."""

POLLED: Final = 4
"""So many times ``limits.connections`` sessions may there be when one begins with a long poll."""

LOGIN_S: Final = 10.0
"""How long a WebSocket may be open before its client has logged in."""

MEMBER: Final = "jarvis_backend.member"
"""Key of a scope whose client has logged in."""


class Members(Protocol):
    """Those who have logged in, and what the library keeps of all."""

    def is_member(self, session_id: str) -> bool:
        """Whether the library's session of that name has logged in."""
        ...

    def sessions(self) -> int:
        """How many sessions the library keeps."""
        ...


class FloodGate:
    """ASGI middleware that bounds the number of WebSockets and their messages. Lives on the loop.

    Bound: ``limits.connections`` twice, ``limits.messages_per_s``, and ``LOGIN_S`` for a client
    that has not logged in. Policy: for one connection more the oldest that has not logged in is
    closed, and if all have, it is refused; one that floods, or does not log in, is closed.
    Counter: ``refused``, for all of them.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, now: Callable[[], float], members: Members
    ) -> None:
        self._app = app
        self._limits = limits
        self._now = now
        self._members = members
        self._open: dict[_Visit, None] = {}
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, within the limits."""
        if scope["type"] != "websocket":
            if self._members.sessions() >= POLLED * self._limits.connections and not _sid(scope):
                self.refused += 1
                await PlainTextResponse("Too many sessions", 503)(scope, receive, send)
                return
            await self._app(scope, _until_gone(receive), send)
            return
        if len(self._open) >= WAITING * self._limits.connections and not self._makes_room():
            self.refused += 1
            await send({"type": "websocket.close", "code": TRY_LATER})
            return
        visit = _Visit(scope, self._members)
        self._open[visit] = None
        try:
            await self._app(scope, self._bounded(visit, receive, send), send)
        finally:
            self._open.pop(visit, None)

    def _makes_room(self) -> bool:
        oldest = next((visit for visit in self._open if not visit.is_member()), None)
        if oldest is None:
            return False
        del self._open[oldest]  # it is as good as gone
        oldest.end()
        return True

    def _bounded(self, visit: "_Visit", receive: Receive, send: Send) -> Receive:
        allowance = TokenBucket(self._limits.messages_per_s, self._now)

        async def next_message() -> Message:
            message = await visit.next_message(receive)
            if message is not None and (message["type"] != "websocket.receive" or allowance.take()):
                return message
            self.refused += 1
            await send({"type": "websocket.close", "code": VIOLATION})
            return {"type": "websocket.disconnect", "code": VIOLATION}

        return next_message


class _Visit:
    """One open WebSocket, by an unknown client until it has logged in. Lives on the loop."""

    def __init__(self, scope: Scope, members: Members) -> None:
        self._scope = scope
        self._members = members
        self._ends_at = asyncio.get_running_loop().time() + LOGIN_S
        self._waiting: asyncio.Timeout | None = None

    def is_member(self) -> bool:
        """Whether its client has logged in, here or before it came from a long poll."""
        if MEMBER not in self._scope and self._members.is_member(_sid(self._scope)):
            self._scope[MEMBER] = True
        return MEMBER in self._scope

    def end(self) -> None:
        """Let it wait no longer for its client."""
        self._ends_at = asyncio.get_running_loop().time()
        if self._waiting is not None:
            self._waiting.reschedule(self._ends_at)

    async def next_message(self, receive: Receive) -> Message | None:
        """Return the next message; None when the client has not logged in in time."""
        while not self.is_member():
            try:
                async with asyncio.timeout_at(self._ends_at) as self._waiting:
                    return await receive()
            except TimeoutError:
                if not self.is_member():
                    return None
            finally:
                self._waiting = None
        return await receive()


def _sid(scope: Scope) -> str:
    """Return the name of the library's session that a request continues; empty for a new one."""
    query: str = scope.get("query_string", b"").decode("latin-1")
    return parse_qs(query).get("sid", [""])[0]


def _until_gone(receive: Receive) -> Receive:
    """Raise when the client leaves: the library would take that for the end of a request."""

    async def next_message() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message

    return next_message
