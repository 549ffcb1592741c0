"""Limits of the Socket.IO endpoint: connections, their messages, and the time until login."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jarvis_backend.config import Limits

BURST_S: Final = 5
"""Seconds' worth of messages that may come at once, after a delay of the network."""


class TokenBucket:
    """Limits the rate of messages of one connection."""

    def __init__(self, per_s: int, now: Callable[[], float]) -> None:
        """Allow ``per_s`` on average; ``now`` is a monotonic clock."""
        self._per_s = per_s
        self._now = now
        self._capacity = float(per_s * BURST_S)
        self._tokens = self._capacity
        self._updated_at = now()

    def take(self) -> bool:
        """Take a token for one message; False if there is none."""
        now = self._now()
        self._tokens = min(self._capacity, self._tokens + (now - self._updated_at) * self._per_s)
        self._updated_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


VIOLATION: Final = 1008
TRY_LATER: Final = 1013
"""Close codes (RFC 6455, 7.4.1)."""

CONNECTIONS: Final = 2
"""Multiple of ``limits.connections`` that may be open, including clients without a login."""

SESSIONS: Final = 4
"""Multiple of ``limits.connections`` at which no session may start by long polling."""

LOGIN_S: Final = 10.0
"""Maximum seconds from opening a WebSocket to its login."""

LOGGED_IN: Final = "jarvis_backend.logged_in"
"""Key of the ASGI scope of a client that has logged in."""


class SocketIoSessions(Protocol):
    """The sessions of the library."""

    def has_logged_in(self, session_id: str) -> bool:
        """Return whether the session has logged in."""
        ...

    def sessions(self) -> int:
        """Return the number of sessions."""
        ...


class SocketIoLimiter:
    """ASGI middleware that bounds the number of WebSockets and their messages. Lives on the loop.

    Bound: twice ``limits.connections``, ``limits.messages_per_s``, and ``LOGIN_S`` until login.
    Policy: a new connection replaces the oldest that has not logged in; if all have, it is refused.
    A connection that sends too much, or does not log in, is closed. Counter: ``refused``, for all
    of them.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, now: Callable[[], float], sessions: SocketIoSessions
    ) -> None:
        self._app = app
        self._limits = limits
        self._now = now
        self._sessions = sessions
        self._open: dict[_ClientConnection, None] = {}
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, within the limits."""
        if scope["type"] != "websocket":
            if self._sessions.sessions() >= SESSIONS * self._limits.connections and not _sid(scope):
                self.refused += 1
                await PlainTextResponse("Too many sessions", 503)(scope, receive, send)
                return
            await self._app(scope, _raising_when_gone(receive), send)
            return
        if len(self._open) >= CONNECTIONS * self._limits.connections and not self._makes_room():
            self.refused += 1
            await send({"type": "websocket.close", "code": TRY_LATER})
            return
        connection = _ClientConnection(scope, self._sessions)
        self._open[connection] = None
        try:
            await self._app(scope, self._bounded(connection, receive, send), send)
        finally:
            self._open.pop(connection, None)

    def _makes_room(self) -> bool:
        oldest = next(
            (connection for connection in self._open if not connection.has_logged_in()), None
        )
        if oldest is None:
            return False
        del self._open[oldest]
        oldest.end()
        return True

    def _bounded(self, connection: "_ClientConnection", receive: Receive, send: Send) -> Receive:
        rate = TokenBucket(self._limits.messages_per_s, self._now)

        async def next_message() -> Message:
            message = await connection.next_message(receive)
            if message is not None and (message["type"] != "websocket.receive" or rate.take()):
                return message
            self.refused += 1
            await send({"type": "websocket.close", "code": VIOLATION})
            return {"type": "websocket.disconnect", "code": VIOLATION}

        return next_message


class _ClientConnection:
    """One open WebSocket and whether its client has logged in. Lives on the loop."""

    def __init__(self, scope: Scope, sessions: SocketIoSessions) -> None:
        self._scope = scope
        self._sessions = sessions
        self._login_until = asyncio.get_running_loop().time() + LOGIN_S
        self._timeout: asyncio.Timeout | None = None

    def has_logged_in(self) -> bool:
        """Return whether its client has logged in, here or by long polling before."""
        if LOGGED_IN not in self._scope and self._sessions.has_logged_in(_sid(self._scope)):
            self._scope[LOGGED_IN] = True
        return LOGGED_IN in self._scope

    def end(self) -> None:
        """End the wait for its login."""
        self._login_until = asyncio.get_running_loop().time()
        if self._timeout is not None:
            self._timeout.reschedule(self._login_until)

    async def next_message(self, receive: Receive) -> Message | None:
        """Return the next message; None if the client does not log in in time."""
        while not self.has_logged_in():
            try:
                async with asyncio.timeout_at(self._login_until) as self._timeout:
                    return await receive()
            except TimeoutError:
                if not self.has_logged_in():
                    return None
            finally:
                self._timeout = None
        return await receive()


def _sid(scope: Scope) -> str:
    """Return the id of the library's session of a request; empty for a new session."""
    query: str = scope.get("query_string", b"").decode("latin-1")
    return parse_qs(query).get("sid", [""])[0]


def _raising_when_gone(receive: Receive) -> Receive:
    """Raise ClientDisconnect when the client leaves; the library would see a complete request."""

    async def next_message() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message

    return next_message
