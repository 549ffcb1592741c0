"""Server: the backend listening on a port, on a thread of its own."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import uvicorn

from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig
from jarvis_backend.connections import connections_for
from jarvis_backend.conversation import Engines
from jarvis_backend.errors import AddressInUse, JarvisBackendError
from jarvis_backend.http_protocol import HttpProtocol, WebSocketProtocol
from jarvis_backend.process import STRANGERS

_LOG: Final = logging.getLogger(STRANGERS)

START_S: Final = 60.0
"""How long the application may take until it accepts; it loads its models afterwards. A second or
two, but a machine that starts everything at once has taken half a minute."""

DRAIN_S: Final = 1
"""How long connections may take to close politely when the server stops."""

STOP_S: Final = 2.0
"""The whole stop, with the drain."""

SEND_BYTES: Final = 256 * 1024
"""What the kernel may keep for a client that takes nothing, twice: it would keep megabytes of
speech and events before anybody noticed."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted; who finds no place tries again after a second."""

ACCEPTS: Final = 16
"""Connections that are accepted at once. They are counted only afterwards, so many more than are
allowed must fit into the open files."""


class Server:
    """Runs the application with uvicorn on a background thread. For one owner, on any thread.

    ``start`` returns the URL when it accepts; ``stop`` leaves no thread and no port behind, in at
    most two seconds. It touches no signal handler. Once stopped it may be started again.
    """

    def __init__(
        self,
        config: BackendConfig,
        engines: Engines | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        listener: socket.socket | None = None,
    ) -> None:
        """Serve as ``config`` says, with its engines unless others are given, by the clock ``now``.

        Engines that are given are closed with the server, as its own are. A ``listener`` that is
        given is accepted from instead of one of its own.
        """
        self._config = config
        self._listener = listener
        self._now = now
        self._engines = engines
        self._uvicorn: _Uvicorn | None = None
        self._stop_asked = False
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Listen, run, and return the URL; raises AddressInUse when the address cannot be had."""
        if self._thread is not None:
            raise JarvisBackendError("the server runs already; expected one start per stop")
        listener = self._listener or listen(self._config.host, self._config.port)
        try:
            self._uvicorn = _Uvicorn(_settings(self._config, self._engines, self._now))
        except BaseException:
            listener.close()
            raise
        self._thread = threading.Thread(
            target=self._uvicorn.run,
            kwargs={"sockets": [listener]},
            name="jarvis-backend",
            daemon=True,
        )
        url = url_of(listener)
        self._thread.start()
        if not self._uvicorn.settled.wait(START_S) or not self._uvicorn.accepts:
            self.stop()
            listener.close()
            raise JarvisBackendError(f"the server did not start, expected it within {START_S:g} s")
        if self._stop_asked:
            self.ask_to_stop()
        return url

    def ask_to_stop(self) -> None:
        """Begin to stop, and return at once; if it has yet to start, it will stop right then.

        Safe in a signal handler.
        """
        self._stop_asked = True
        if self._uvicorn is not None and self._uvicorn.accepts:
            self._uvicorn.should_exit = True

    def wait(self) -> None:
        """Wait until it has stopped, by whomever."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Stop, in at most two seconds. Does nothing if it does not run."""
        if self._thread is None:
            return
        self.ask_to_stop()
        self._thread.join(STOP_S)
        self._thread = self._uvicorn = None
        self._stop_asked = False

    def __enter__(self) -> Self:
        """Start; the URL is in ``url``."""
        self.url = self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()


class _Uvicorn(uvicorn.Server):
    """Says when it accepts, or will never. Its thread is the server's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()
        self.accepts = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        try:
            await super().serve(sockets)
        finally:
            self.settled.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, few at once, while more may wait."""
        asyncio.get_running_loop().set_exception_handler(_tell)
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio has one number for both

    async def main_loop(self) -> None:
        """Begin to accept. Told to stop any earlier, uvicorn would not close what it opened."""
        self.accepts = True
        self.settled.set()
        await super().main_loop()


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell of an error that nobody handled; in one line if it is only that there are no files."""
    error = context.get("exception")
    if isinstance(error, OSError) and "accept" in context["message"]:
        _LOG.warning("no connection can be accepted: %s", error.strerror)
    else:
        loop.default_exception_handler(context)


def _settings(
    config: BackendConfig, engines: Engines | None, now: Callable[[], float]
) -> uvicorn.Config:
    connections = connections_for(config.limits)
    return uvicorn.Config(
        create_app(config, engines, now=now),
        http=partial(HttpProtocol, connections=connections),  # type: ignore[arg-type]  # is called
        ws=partial(WebSocketProtocol, connections=connections),  # type: ignore[arg-type]  # likewise
        backlog=ACCEPTS,
        ws_max_size=config.limits.message_bytes,
        ws_per_message_deflate=False,  # sound does not shrink, and an event is told to hundreds
        ws_ping_interval=config.limits.heartbeat_s,
        ws_ping_timeout=config.limits.heartbeat_s,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_S,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, or raise AddressInUse."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressInUse(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "expected a free port (--port) of this machine (--host)"
        ) from error
    # Accepted connections inherit both. asyncio sets TCP_NODELAY only on sockets that it opens.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return where ``listener`` can be reached from this machine."""
    host, port = listener.getsockname()[:2]
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{loopback}]:{port}" if ":" in loopback else f"http://{loopback}:{port}"
