"""One WebSocket of any wire: authenticated, and bounded in message size, rate and send time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from jarvis_backend.auth import Auth, LoginRefused
from jarvis_backend.config import Limits
from jarvis_backend.process import CLIENT_LOG
from jarvis_backend.rate_limit import TRY_LATER, VIOLATION, TokenBucket

_LOG: Final = logging.getLogger(__name__)
_CLIENT_LOG: Final = logging.getLogger(CLIENT_LOG)

SEND_S: Final = 5.0
"""Maximum seconds for sending; a client that reads more slowly is dropped."""

NORMAL: Final = 1000
TOO_LARGE: Final = 1009
"""Close codes (RFC 6455, 7.4.1)."""


class PeerGone(Exception):
    """The connection is closed: nothing can be sent to the peer any more."""


class WireSocket:
    """An open WebSocket with limits. Lives on the loop; one task receives, any task may send."""

    def __init__(self, socket: WebSocket, limits: Limits, now: Callable[[], float]) -> None:
        self.socket = socket
        """The request that opened it, with path, query and address of the peer."""
        self._limits = limits
        self._rate = TokenBucket(limits.messages_per_s, now)
        self._sending = asyncio.Lock()
        self._is_lost = False

    async def receive(self) -> str | bytes:
        """Return the next frame. Raises PeerGone."""
        event = await self.socket.receive()
        if event["type"] == "websocket.disconnect" or self._is_lost:
            raise PeerGone
        text: str | None = event.get("text")
        frame: str | bytes = event.get("bytes") or b"" if text is None else text
        if _size(frame) > self._limits.message_bytes:
            await self.close(TOO_LARGE, f"expected at most {self._limits.message_bytes} bytes")
            raise PeerGone
        if not self._rate.take():
            await self.close(VIOLATION, "Too many messages")
            raise PeerGone
        return frame

    async def send(self, *frames: str | bytes) -> None:
        """Send ``frames`` without any other frame in between.

        Raises PeerGone; once it has, each later call does so too.
        """
        if self._is_lost:
            raise PeerGone
        try:
            async with asyncio.timeout(SEND_S), self._sending:
                for frame in frames:
                    if isinstance(frame, str):
                        await self.socket.send_text(frame)
                    else:
                        await self.socket.send_bytes(frame)
        except (RuntimeError, WebSocketDisconnect, OSError):  # TimeoutError is an OSError
            self._is_lost = True
            raise PeerGone from None

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the WebSocket. Does nothing if it is closed already."""
        try:
            async with asyncio.timeout(SEND_S):
                await self.socket.close(code, reason)
        except (RuntimeError, WebSocketDisconnect, OSError):
            _LOG.debug("the peer closed the connection first")


Handler: TypeAlias = Callable[[WireSocket], Awaitable[None]]
"""Serves one connection until it ends. May raise PeerGone."""


class WebSocketRoute:
    """Accepts the WebSockets of one wire. Lives on the loop.

    Bound: ``limits.connections``. Policy: a connection above it is refused. Counter: ``refused``,
    which includes clients that fail to authenticate.
    """

    def __init__(self, auth: Auth, limits: Limits, now: Callable[[], float]) -> None:
        self._auth = auth
        self._limits = limits
        self._now = now
        self._open = 0
        self.refused = 0

    def router(self, path: str, handler: Handler, *, login: bool = False) -> APIRouter:
        """Return a router that runs ``handler`` for each connection to ``path``.

        With ``login`` programs of this machine need a token, too.
        """
        routes = APIRouter()

        @routes.websocket(path)
        async def connect(socket: WebSocket) -> None:
            await self._serve(socket, handler, login=login)

        return routes

    async def _serve(self, socket: WebSocket, handler: Handler, *, login: bool) -> None:
        try:
            subprotocol = self._auth.authorize(
                socket.client and socket.client.host,
                socket.headers.get("authorization"),
                socket.scope.get("subprotocols", ()),
                login=login,
            )
        except LoginRefused as refused:
            _CLIENT_LOG.info("connection refused: %s", refused)
            await self._refuse(socket, VIOLATION)
            return
        if self._open >= self._limits.connections:
            await self._refuse(socket, TRY_LATER)
            return
        self._open += 1
        connection = WireSocket(socket, self._limits, self._now)
        try:
            await socket.accept(subprotocol)
            await handler(connection)
        except PeerGone:
            _LOG.debug("the peer has left")
        finally:
            self._open -= 1
        await connection.close()

    async def _refuse(self, socket: WebSocket, code: int) -> None:
        self.refused += 1
        await socket.close(code)


def _size(frame: str | bytes) -> int:
    return len(frame.encode(errors="surrogatepass")) if isinstance(frame, str) else len(frame)
