"""One WebSocket of any wire: let in or refused, bounded in size, rate and patience."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from jarvis_backend.auth import AccessRules, LoginRefused
from jarvis_backend.config import Limits
from jarvis_backend.flood_gate import TokenBucket
from jarvis_backend.process import STRANGERS

_LOG: Final = logging.getLogger(__name__)
_STRANGERS: Final = logging.getLogger(STRANGERS)

SEND_S: Final = 5.0
"""A client that takes nothing for so long is dropped, not awaited."""

NORMAL: Final = 1000
VIOLATION: Final = 1008
TOO_LARGE: Final = 1009
TRY_LATER: Final = 1013
"""Close codes (RFC 6455, 7.4.1)."""


class PeerGone(Exception):
    """The peer has left, or was made to leave. Nothing more can be said to it."""


class WireSocket:
    """An open WebSocket with limits. Lives on the loop; one task receives, any may send."""

    def __init__(self, socket: WebSocket, limits: Limits, now: Callable[[], float]) -> None:
        self._socket = socket
        self._limits = limits
        self._allowance = TokenBucket(limits.messages_per_s, now)
        self._sending = asyncio.Lock()
        self._is_lost = False

    async def receive(self) -> str | bytes:
        """Return the next frame, or raise Gone."""
        event = await self._socket.receive()
        if event["type"] == "websocket.disconnect" or self._is_lost:
            raise PeerGone
        text: str | None = event.get("text")
        frame: str | bytes = event.get("bytes") or b"" if text is None else text
        if _size(frame) > self._limits.message_bytes:
            await self.close(TOO_LARGE, f"expected at most {self._limits.message_bytes} bytes")
            raise PeerGone
        if not self._allowance.take():
            await self.close(VIOLATION, "Too many messages")
            raise PeerGone
        return frame

    async def say(self, *frames: str | bytes) -> None:
        """Send ``frames`` with nothing between them, or raise Gone, now and ever after."""
        if self._is_lost:
            raise PeerGone
        try:
            async with asyncio.timeout(SEND_S), self._sending:
                for frame in frames:
                    await self._send(frame)
        except (RuntimeError, WebSocketDisconnect, OSError):  # TimeoutError is an OSError
            self._is_lost = True
            raise PeerGone from None

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close it; one that is closed already stays so."""
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.close(code, reason)
        except (RuntimeError, WebSocketDisconnect, OSError):
            _LOG.debug("the peer was quicker to close")

    async def _send(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            await self._socket.send_text(frame)
        else:
            await self._socket.send_bytes(frame)


Talk = Callable[[WireSocket], Awaitable[None]]


class SocketDoor:
    """Opens the WebSockets of one wire to those who may come. Lives on the loop.

    Bound: ``limits.connections``. Policy: one more is refused. Counter: ``refused``, with those
    that may not come in.
    """

    def __init__(self, admission: AccessRules, limits: Limits, now: Callable[[], float]) -> None:
        self._admission = admission
        self._limits = limits
        self._now = now
        self._open = 0
        self.refused = 0

    async def serve(self, socket: WebSocket, talk: Talk, *, login: bool = False) -> None:
        """Let ``talk`` run until it or the peer ends it; with ``login`` only for a token."""
        try:
            subprotocol = self._admission.admit(
                socket.client and socket.client.host,
                socket.headers.get("authorization"),
                socket.scope.get("subprotocols", ()),
                login=login,
            )
        except LoginRefused as refused:
            _STRANGERS.info("connection refused: %s", refused)
            await self._refuse(socket, VIOLATION)
            return
        if self._open >= self._limits.connections:
            await self._refuse(socket, TRY_LATER)
            return
        await self._talk(socket, talk, subprotocol)

    async def _talk(self, socket: WebSocket, talk: Talk, subprotocol: str | None) -> None:
        self._open += 1
        line = WireSocket(socket, self._limits, self._now)
        try:
            await socket.accept(subprotocol)
            await talk(line)
        except PeerGone:
            pass  # what talk holds, it has given back
        finally:
            self._open -= 1
        await line.close()

    async def _refuse(self, socket: WebSocket, code: int) -> None:
        self.refused += 1
        await socket.close(code)


def _size(frame: str | bytes) -> int:
    return len(frame.encode(errors="surrogatepass")) if isinstance(frame, str) else len(frame)
