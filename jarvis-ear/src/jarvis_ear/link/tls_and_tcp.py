"""TLS and TCP: trust, name resolution, sockets and their error texts."""

import asyncio
import os
import socket
import ssl
import stat
import struct
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
from jarvis_ear.paths import kind_of
from jarvis_ear.process import NamedThread

_EXPECTED: Final = "expected a file of PEM certificates"
_PLAIN: Final = ("http", "ws", "mqtt")


class TrustStore:
    """Certificate authorities trusted for the server ``url``. Any thread may read it.

    Verification cannot be turned off. Raises ConfigError, which names ``option``.
    """

    def __init__(
        self, ca_file: Path | None = None, url: str = "https:", option: str = "backend.ca_file"
    ) -> None:
        self.ca_file = ca_file
        """None: the authorities of the system or of the library."""
        is_unused = ca_file is None and urlsplit(url).scheme in _PLAIN
        self.context = True if is_unused else _context(ca_file, option)
        """The context of every TLS connection. True: there will be none, which saves 1 MiB."""

    @property
    def authorities(self) -> str:
        """File or folder of these authorities, for a library that takes no context.

        Empty: this system has none.
        """
        system = ssl.get_default_verify_paths()
        return str(self.ca_file or system.cafile or system.capath or "")


def _context(ca_file: Path | None, option: str) -> ssl.SSLContext:
    if ca_file is not None and kind_of(ca_file) not in (None, stat.S_IFREG):
        # reading a pipe may never end
        raise ConfigError(f"{option}: {ca_file}: not a regular file, {_EXPECTED}")
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:  # SSLError is an OSError with another text
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"{option}: {ca_file}: {why}, {_EXPECTED}") from None


_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def is_exposed(url: str) -> bool:
    """Whether traffic to ``url`` can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme in _PLAIN and parts.hostname not in _LOOPBACK


def address(url: str) -> str:
    """Return scheme and host of ``url``, without a name or password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


_NO_ADDRESS: Final[Mapping[int, str]] = {
    socket.EAI_NONAME: "unknown host",
    socket.EAI_NODATA: "unknown host",
    socket.EAI_AGAIN: "its name cannot be looked up at present",
}
"""Texts for resolver errors; any other one means that the name cannot be looked up."""


def error_text(error: BaseException) -> str:
    """Return the system's reason behind ``error``, else its type.

    Never the text of the exception: it may hold an address with a password, a token, or text of
    the peer.
    """
    chain = _causes(error)
    # the number of an error of OpenSSL is not one of the system, so it is described first
    texts = (text(cause) for text in (_handshake_text, _system_text) for cause in chain)
    return next(filter(None, texts), type(error).__name__)


def _handshake_text(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", "")  # a text of OpenSSL
        return f"its certificate is not trusted: {why}"
    if isinstance(error, ssl.SSLError):
        return "no TLS connection"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"status {error.status}; expected an upgrade"
    return ""


def _system_text(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return _NO_ADDRESS.get(error.errno or 0, "its name cannot be looked up")
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    # libraries raise it without a number
    return "closed without an answer" if isinstance(error, ConnectionResetError) else ""


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 8:  # noqa: PLR2004 - a longer chain explains nothing
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return chain


class ThreadResolver(AbstractResolver):
    """Resolves names in daemon threads: a hung lookup blocks neither the loop nor the exit."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``, or raise ``OSError``."""
        worker = AbandonableTask(
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
        """Do nothing."""


T = TypeVar("T")

_JOIN_S = 0.5
"""Maximum seconds from the outcome to the end of the thread, which is a few instructions."""


class AbandonableTask(Generic[T]):
    """Runs one function in a daemon thread. Any thread may ask for the outcome.

    Not an executor, whose threads are joined at exit: a hung name lookup must not block the exit.
    """

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._work = work
        self._outcome: Future[T] = Future()
        self._thread = NamedThread(target=self._run, name=name, daemon=True)

    @property
    def busy(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def start(self) -> "asyncio.Future[T]":
        """Start the work and return a future of its outcome, for the running event loop."""
        self._outcome.set_running_or_notify_cancel()
        self._thread.start()
        return asyncio.wrap_future(self._outcome)

    def result(self, within_s: float) -> T:
        """Do the work and return its outcome, or raise it; ``TimeoutError`` after ``within_s``."""
        self._thread.start()
        return self._outcome.result(within_s)

    def settle(self) -> None:
        """Join the thread if its work is done."""
        if self._outcome.done():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            self._outcome.set_result(self._work())
        except BaseException as error:  # noqa: BLE001 - passed on to the waiter
            self._outcome.set_exception(error)


_USER_TIMEOUT_MS: Final = 10_000
"""Time without an acknowledgement after which the kernel drops the connection. It also unblocks a
writer whose peer has stopped reading."""

_OPTIONS: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
)

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: the kernel drops unsent data instead of sending it later."""


class WebSocket(aiohttp.ClientWebSocketResponse):
    """WebSocket that can be aborted; the library's ``close`` waits for the peer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the library has it
        super().__init__(*args, **kwargs)
        connection = args[3].connection  # reader, writer, protocol, response, ...
        self._transport = None if connection is None else connection.transport

    def abort(self) -> None:
        """Drop the connection and all unsent data."""
        if self._transport is not None:
            self._transport.abort()


class Sockets:
    """Opens and tracks the connections of one link. Owned by the link; network thread.

    After an orderly close the kernel continues to send: an abandoned command would run when the
    network returns. So every link ends with a reset.
    """

    def __init__(self, trust_store: TrustStore | None = None) -> None:
        self._trust_store = trust_store or TrustStore()
        self._opened: list[socket.socket] = []

    def session(self) -> aiohttp.ClientSession:
        """Return a session for one link: no settings from the environment, no redirects."""
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse_redirect)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=self._open,
                resolver=ThreadResolver(),
                limit=1,
                ssl=self._trust_store.context,
            ),
            ws_response_class=WebSocket,
            trace_configs=[trace],
            trust_env=False,
        )

    def reset_on_close(self) -> None:
        """Turn every later close into a reset."""
        for opened in self._opened:
            with suppress(OSError):  # already closed
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _open(self, address: tuple[Any, ...]) -> socket.socket:
        opened = socket.socket(*address[:3])
        opened.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self.adopt(opened)
        return opened

    def adopt(self, opened: socket.socket) -> None:
        """Set the options of a socket, and track it."""
        for level, option, value in _OPTIONS:
            opened.setsockopt(level, option, value)
        self._opened.append(opened)


async def _refuse_redirect(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    _redirect: aiohttp.TraceRequestRedirectParams,
) -> None:
    """Refuse redirects: the new server would receive the token too."""
    raise RemoteProtocolError("the backend redirects the connection; expected an upgrade")
