"""The server of one process: uvicorn on a thread of its own."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Self

import uvicorn

from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig
from jarvis_backend.connections import connections_for
from jarvis_backend.conversation import Engines
from jarvis_backend.errors import AddressInUse, JarvisBackendError
from jarvis_backend.http_protocol import HttpProtocol, WebSocketProtocol
from jarvis_backend.process import CLIENT_LOG

_LOG: Final = logging.getLogger(CLIENT_LOG)

START_S: Final = 60.0
"""Maximum seconds until the application accepts connections; models are loaded afterwards. It takes
one or two, but half a minute on a machine that is just starting."""

DRAIN_S: Final = 1
"""Seconds for connections to close when the server stops."""

STOP_S: Final = 2.0
"""Maximum seconds for a stop, including the drain."""

SEND_BYTES: Final = 256 * 1024
"""Half of the kernel's send buffer of a connection. The default holds megabytes before the server
notices a client that does not read."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted; the kernel of another client tries again after 1 s."""

ACCEPTS: Final = 16
"""Connections that are accepted in one step. They are counted only afterwards, so this many above
the limit must fit into the open files."""


class Server:
    """Runs the application with uvicorn on a background thread. For one owner, on any thread.

    It sets no signal handler. Once stopped it may be started again.
    """

    def __init__(
        self,
        config: BackendConfig,
        engines: Engines | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        listener: socket.socket | None = None,
    ) -> None:
        """Serve with ``engines`` instead of those of ``config``, and on ``listener`` if given.

        The engines are closed with the server. ``now`` is a monotonic clock.
        """
        self._config = config
        self._listener = listener
        self._now = now
        self._engines = engines
        self._uvicorn: _Uvicorn | None = None
        self._stop_asked = False
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Start, and return the URL when connections are accepted. Raises AddressInUse."""
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
        """Begin to stop, or to stop once started. Returns at once; safe in a signal handler."""
        self._stop_asked = True
        if self._uvicorn is not None and self._uvicorn.accepts:
            self._uvicorn.should_exit = True

    def wait(self) -> None:
        """Wait until it has stopped."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Stop and release the port, in at most ``STOP_S``. Idempotent."""
        if self._thread is None:
            return
        self.ask_to_stop()
        self._thread.join(STOP_S)
        self._thread = self._uvicorn = None
        self._stop_asked = False

    def __enter__(self) -> Self:
        """Start, and set ``url``."""
        self.url = self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self.stop()


class _Uvicorn(uvicorn.Server):
    """Signals when it accepts connections, or has failed to. Runs on the server's thread."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()
        self.accepts = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until ``should_exit`` is set."""
        try:
            await super().serve(sockets)
        finally:
            self.settled.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, ``ACCEPTS`` at a time, with ``BACKLOG`` waiting."""
        asyncio.get_running_loop().set_exception_handler(_log_exception)
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio uses one number for both

    async def main_loop(self) -> None:
        """Run; a stop before this would make uvicorn leave its sockets open."""
        self.accepts = True
        self.settled.set()
        await super().main_loop()


def _log_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an unhandled exception; one of accepting a connection, in one line."""
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
        ws_per_message_deflate=False,  # costs too much for sound and for many clients
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
    """Return a listening socket. Raises AddressInUse."""
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
    """Return the URL of ``listener`` for clients on this machine."""
    host, port = listener.getsockname()[:2]
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{loopback}]:{port}" if ":" in loopback else f"http://{loopback}:{port}"
