"""HTTP requests that another thread can cut short."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError


class CuttableAdapter(HTTPAdapter):
    """Opens sockets for one request, and shuts them at any moment of it.

    One thread sends; any thread may ``cut``, also before the socket is there. Time-outs alone do
    not bound a request: a peer that says one byte every now and then never runs into them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[socket.socket] | None = []
        """Duplicates, because TLS takes the original away. None: it has been cut."""
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the library has it
        """Make the library open its sockets through us."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, self._dial),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, self._dial),
        }

    def cut(self) -> None:
        """Make whatever the sender waits for fail at once."""
        with self._lock:
            sockets, self._open = self._open or [], None
        for each in sockets:
            with suppress(OSError):  # not connected any more: nobody waits for it
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _dial(self, connection: HTTPConnection) -> socket.socket:
        failure = OSError("the name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            connection.host, connection.port, type=socket.SOCK_STREAM
        ):
            candidate = socket.socket(family, kind, protocol)
            try:
                self._remember(candidate)
                candidate.settimeout(float(connection.timeout or 0))
                candidate.connect(address)
            except OSError as error:
                candidate.close()
                failure = error
                continue
            return candidate
        raise failure

    def _remember(self, candidate: socket.socket) -> None:
        with self._lock:
            if self._open is None:
                raise OSError("cut short")
            self._open.append(candidate.dup())


def _pool(
    pool: type[HTTPConnectionPool],
    connection: type[HTTPConnection],
    dial: Callable[[HTTPConnection], socket.socket],
) -> type[HTTPConnectionPool]:
    def as_method(self: HTTPConnection) -> socket.socket:
        try:
            return dial(self)
        except OSError as error:
            # Of a bare "connection reset" the library believes that something was sent before,
            # and goes on to read the answer from a connection that there is not.
            raise NewConnectionError(self, str(error)) from error

    ours = type("Connection", (connection,), {"_new_conn": as_method})
    return type("Pool", (pool,), {"ConnectionCls": ours})
