"""TLS and TCP: trust, name resolution, sockets, and the text of their errors."""

import asyncio
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from jarvis_ear.errors import ConfigError, RemoteProtocolError

_EXPECTED: Final = "expected a file of PEM certificates"


class Trust:
    """The certificate authorities that may vouch for an ``https`` backend. Any thread may read it.

    There is no way to trust nobody in particular.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self.ca_file = ca_file
        """None: the authorities that come with the system or with the library."""
        self.context = _context(ca_file)
        """What a TLS connection is made with."""


def _context(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is not None and ca_file.exists() and not ca_file.is_file():  # a pipe has no end
        raise ConfigError(f"backend.ca_file: {ca_file}: no regular file, {_EXPECTED}")
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:  # the second is one of the first, with other words
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"backend.ca_file: {ca_file}: {why}, {_EXPECTED}") from None


_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_PLAIN: Final = ("http", "ws")


def is_exposed(url: str) -> bool:
    """Whether what is said there can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme in _PLAIN and parts.hostname not in _LOOPBACK


def address(url: str) -> str:
    """``url`` as people may see it: without a name or password in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


_NO_ADDRESS: Final[Mapping[int, str]] = {
    socket.EAI_NONAME: "unknown host",
    socket.EAI_NODATA: "unknown host",
    socket.EAI_AGAIN: "its name cannot be looked up at present",
}
"""What a name server said, for people; whatever else it said: the name cannot be looked up."""


def error_text(error: BaseException) -> str:
    """Name the system's reason under ``error``, else its type.

    Never the text of the exception: it may hold the address with a password in it, a token, or
    whatever the other side wrote.
    """
    cause: BaseException | None = error
    for _ in range(8):  # a chain this long explains nothing any more
        if cause is None:
            break
        if isinstance(cause, socket.gaierror):
            return _NO_ADDRESS.get(cause.errno or 0, "its name cannot be looked up")
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


class ThreadResolver(AbstractResolver):
    """Looks names up in a daemon thread: one that hangs keeps neither the loop nor the process."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``, or raise ``OSError``."""
        worker = Worker(
            "jarvis-ear-resolver",
            lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM),
        )
        found = await worker.start()
        worker.settle()
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


T = TypeVar("T")

_LAST_BREATH_S = 0.5
"""From the outcome of the work to the end of its thread: a few instructions."""


class Worker(Generic[T]):
    """Runs one piece of work in a daemon thread. Any thread may ask for the outcome.

    Not an executor, whose threads are waited for when the process ends: a resolver of names that
    hangs must not keep it from ending.
    """

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._work = work
        self._outcome: Future[T] = Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def busy(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def start(self) -> "asyncio.Future[T]":
        """Start the work, and return its outcome to come."""
        self._outcome.set_running_or_notify_cancel()
        self._thread.start()
        return asyncio.wrap_future(self._outcome)

    def settle(self) -> None:
        """See the thread off, if its work is done."""
        if self._outcome.done():
            self._thread.join(_LAST_BREATH_S)

    def _run(self) -> None:
        try:
            self._outcome.set_result(self._work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, whatever it is
            self._outcome.set_exception(error)


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
