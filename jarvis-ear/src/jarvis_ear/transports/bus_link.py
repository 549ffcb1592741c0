"""BusLink: one connection to the event bus, from its handshake to its end."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from jarvis_ear.errors import ConnectFailed, Disconnected, Rejected, RemoteProtocolError
from jarvis_ear.transports.blame import blame
from jarvis_ear.transports.sockets import Sockets, WebSocket
from jarvis_ear.transports.timing import Timing
from jarvis_ear.transports.trust import Trust
from jarvis_ear.wire import event_bus as wire
from jarvis_ear.wire.seal import Seal

MAX_FRAME_BYTES: Final = 256 * 1024
"""Four times the letters of the longest event we read: more, and the connection ends."""


class BusLink:
    """One connection to the bus. Never used twice; the thread of the bus only."""

    def __init__(self, url: str, seal: Seal, timing: Timing, trust: Trust) -> None:
        self._url = url
        self._seal = seal
        self._timing = timing
        self._sockets = Sockets(trust)
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self, token: str | None) -> None:
        """Connect, or raise ``Rejected``, ``ConnectFailed``, ``RemoteProtocolError``."""
        self._session = self._sockets.session()
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with asyncio.timeout(self._timing.connect_s):
                self._socket = await self._session.ws_connect(
                    self._url, headers=shown, max_msg_size=MAX_FRAME_BYTES, autoclose=False
                )
        except RemoteProtocolError:
            raise
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status) from None
        except TimeoutError:
            raise ConnectFailed(f"no connection within {self._timing.connect_s:g} s") from None
        except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
            raise ConnectFailed(f"connection failed: {blame(error)}") from None

    async def say(self, payload: Mapping[str, Any]) -> None:
        """Hand a message to the socket, or raise ``Disconnected``."""
        assert self._socket is not None  # noqa: S101 - whoever has a link has opened it
        try:
            async with asyncio.timeout(self._timing.dead_s):
                await self._socket.send_str(self._seal.write(payload))
        except (OSError, aiohttp.ClientError) as error:  # TimeoutError is an OSError
            raise Disconnected(f"the bus takes nothing: {blame(error)}") from None

    async def hear(self) -> wire.Message:
        """Return the next message; raise ``RemoteProtocolError`` for one that is none.

        Raises ``Disconnected`` at the end, and when the bus has not said a word for too long.
        """
        assert self._socket is not None  # noqa: S101 - as above
        try:
            async with asyncio.timeout(self._timing.dead_s):
                frame = await self._socket.receive()
        except TimeoutError:
            raise Disconnected(f"no word of the bus for {self._timing.dead_s:g} s") from None
        if frame.type is aiohttp.WSMsgType.BINARY:
            raise RemoteProtocolError("a binary frame; expected JSON")
        if frame.type is not aiohttp.WSMsgType.TEXT:
            raise Disconnected("the link is gone")
        payload = wire.read(frame.data)
        self._seal.check(payload)
        return wire.decode(payload)

    async def close(self) -> None:
        """End the connection, politely if the peer plays along. Bounded, and never raises."""
        if self._socket is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.close_s):
                    await self._socket.close()
        self._sockets.reset_on_close()
        if isinstance(self._socket, WebSocket):
            self._socket.abort()
        if self._session is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.close_s):
                    await self._session.close()


def _refusal(status: int) -> ConnectFailed | Rejected | RemoteProtocolError:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Rejected("the bus does not let us in")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ConnectFailed(f"connection failed: status {status}")
    return RemoteProtocolError(f"the bus answered with status {status}; expected an upgrade")
