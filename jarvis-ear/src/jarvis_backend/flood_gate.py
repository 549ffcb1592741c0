"""Flood gate: the limits of every WebSocket for those that a library serves."""

from collections.abc import Callable
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jarvis_backend.allowance import Allowance
from jarvis_backend.config import Limits

VIOLATION: Final = 1008
TRY_LATER: Final = 1013
"""Close codes (RFC 6455, 7.4.1)."""

WAITING: Final = 2
"""So many times ``limits.connections`` may be open: some have yet to say who they are."""


class FloodGate:
    """ASGI middleware that bounds the number of WebSockets and their messages. Lives on the loop.

    Bound: ``limits.connections`` twice, and ``limits.messages_per_s``. Policy: one connection more
    is refused, and one that floods is closed. Counter: ``refused``, for both.
    """

    def __init__(self, app: ASGIApp, limits: Limits, now: Callable[[], float]) -> None:
        self._app = app
        self._limits = limits
        self._now = now
        self._open = 0
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, within the limits."""
        if scope["type"] != "websocket":
            await self._app(scope, _until_gone(receive), send)
            return
        if self._open >= WAITING * self._limits.connections:
            self.refused += 1
            await send({"type": "websocket.close", "code": TRY_LATER})
            return
        self._open += 1
        try:
            await self._app(scope, self._bounded(receive, send), send)
        finally:
            self._open -= 1

    def _bounded(self, receive: Receive, send: Send) -> Receive:
        allowance = Allowance(self._limits.messages_per_s, self._now)

        async def next_message() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive" or allowance.take():
                return message
            self.refused += 1
            await send({"type": "websocket.close", "code": VIOLATION})
            return {"type": "websocket.disconnect", "code": VIOLATION}

        return next_message


def _until_gone(receive: Receive) -> Receive:
    """Raise when the client leaves: the library would take that for the end of a request."""

    async def next_message() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message

    return next_message
