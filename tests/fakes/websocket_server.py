"""A WebSocket server of the plain `websockets` library, which answers a POST as well."""

import json
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final, Self, TypeAlias

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

Upgrade: TypeAlias = Callable[[socket.socket, Any], None]

SOON_S: Final = 10.0
"""A deadline for what takes milliseconds, on a machine with other work."""


class WebSocketServer:
    """Listens inside a ``with``. Two threads accept, and each connection has a thread.

    A wire overrides ``admit``, ``post``, ``greet`` and ``hear``.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._address = (host, port)
        self._front: _Front
        self._upgrades: Server
        self._threads: list[threading.Thread] = []
        self.lines: set[ServerConnection] = set()
        self.joined = 0
        self.changed = threading.Condition()

    def __enter__(self) -> Self:
        choices: Any = {"process_request": self._admit, "select_subprotocol": _first_offered}
        self._upgrades = serve(self._talk, "127.0.0.1", 0, **choices)
        self._front = _Front(self._address, self, self._upgrades.handler)
        self._address = self._front.server_address[:2]  # type: ignore[assignment]
        self._threads = [
            threading.Thread(target=self._upgrades.serve_forever),
            threading.Thread(target=self._front.serve_forever, args=(0.02,)),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._front.shutdown()
        self._front.drop()
        self._front.server_close()
        self._upgrades.shutdown()
        for thread in self._threads:
            thread.join(SOON_S)

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    def admit(self, _request: Request) -> Response | None:
        """Return how to refuse a client, or None to let it in."""
        return None

    def post(self, _path: str, _asked: Any, _token: str | None) -> tuple[int, Any]:
        return 404, {"error": "Not found"}

    def accept(self, _connection: socket.socket) -> bool:
        """Return whether to speak HTTP with a client; if not, the connection is closed."""
        return True

    def greet(self, line: ServerConnection) -> None:
        """Say what comes first; nothing, unless the wire begins with the server."""

    def hear(self, line: ServerConnection, frame: str | bytes) -> None:
        """Do what a frame wants."""

    def throw(self, frame: Any) -> None:
        for line in list(self.lines):
            with suppress(ConnectionClosed):  # a client may close in the middle of a long frame
                line.send(frame)

    def hang_up(self) -> None:
        for line in list(self.lines):
            line.close()

    def drop(self) -> None:
        """End every connection without a closing handshake."""
        self._front.drop()

    def wait(self, that: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(that, SOON_S), f"not within {SOON_S} s: {vars(self)}"

    def _admit(self, _: ServerConnection, request: Request) -> Response | None:
        refused = self.admit(request)
        with self.changed:
            self.changed.notify_all()
        return refused

    def _talk(self, line: ServerConnection) -> None:
        with self.changed:
            self.lines.add(line)
            self.joined += 1
            self.changed.notify_all()
        with suppress(ConnectionClosed, OSError):
            self.greet(line)
            for frame in line:
                self.hear(line, frame)
        with self.changed:
            self.lines.discard(line)
            self.changed.notify_all()


def refusal(status: int, body: str = "", **headers: str) -> Response:
    told = Headers({"Content-Length": str(len(body)), **headers})
    return Response(status, "", told, body.encode())


class _Front(ThreadingTCPServer):
    """Passes each connection on by its first word, because the library refuses a POST."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: WebSocketServer, upgrade: Upgrade) -> None:
        super().__init__(address, _Post)
        self.owner = owner
        self._upgrade = upgrade
        self._open: set[socket.socket] = set()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Look at the first word without taking it."""
        self._open.add(request)
        with suppress(ConnectionError):
            if not self.owner.accept(request):
                pass
            elif request.recv(4, socket.MSG_PEEK) == b"POST":
                super().finish_request(request, client_address)
            else:
                self._upgrade(request, client_address)
        self._open.discard(request)

    def drop(self) -> None:
        for each in list(self._open):
            with suppress(OSError):  # it has ended already
                each.shutdown(socket.SHUT_RDWR)


class _Post(BaseHTTPRequestHandler):
    server: _Front

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, told = self.server.owner.post(self.path, asked, token or None)
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def _first_offered(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return offered[0] if offered else None
