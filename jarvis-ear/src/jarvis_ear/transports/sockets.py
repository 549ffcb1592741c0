"""Sockets: the TCP connections of one link, which end in a reset."""

import socket
import struct
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.transports.resolver import ThreadResolver
from jarvis_ear.transports.trust import Trust

_USER_TIMEOUT_MS: Final = 10_000
"""Sent and not acknowledged for so long: the kernel gives the connection up. It also frees a
writer that waits for a peer which has stopped reading."""

_OPTIONS: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
)

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: what the kernel still holds is thrown away instead of sent later."""


class WebSocket(aiohttp.ClientWebSocketResponse):
    """A WebSocket that can be aborted: its own ``close`` waits for the peer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the library has it
        super().__init__(*args, **kwargs)
        connection = args[3].connection  # reader, writer, protocol, response, ...
        self._transport = None if connection is None else connection.transport

    def abort(self) -> None:
        """Drop the connection and whatever waits to be written to it."""
        if self._transport is not None:
            self._transport.abort()


class Sockets:
    """Opens the connections of one link and remembers them. Owned by the link; network thread.

    An orderly close lets the kernel go on sending: a command that was given up would run when the
    network comes back. So every end of a link is a reset.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        self._trust = trust or Trust()
        self._opened: list[socket.socket] = []

    def session(self) -> aiohttp.ClientSession:
        """Return a session for one link: nothing from the environment, no redirects."""
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse_redirect)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=self._open,
                resolver=ThreadResolver(),
                limit=1,
                ssl=self._trust.context,
            ),
            ws_response_class=WebSocket,
            trace_configs=[trace],
            trust_env=False,
        )

    def reset_on_close(self) -> None:
        """Make every close from now on a reset."""
        for opened in self._opened:
            with suppress(OSError):  # closed already
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _open(self, address: tuple[Any, ...]) -> socket.socket:
        opened = socket.socket(*address[:3])
        opened.setblocking(False)  # noqa: FBT003 - the standard library's signature
        for level, option, value in _OPTIONS:
            opened.setsockopt(level, option, value)
        self._opened.append(opened)
        return opened


async def _refuse_redirect(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    _redirect: aiohttp.TraceRequestRedirectParams,
) -> None:
    """Go nowhere else: the token would go there too."""
    raise RemoteProtocolError("the backend redirects the connection; expected an upgrade")
