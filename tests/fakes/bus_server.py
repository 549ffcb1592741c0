"""An event bus that says what a test tells it to, over the plain websockets library."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

Message = dict[str, Any]

SOON_S = 10.0
"""A deadline for what takes milliseconds, on a machine with other work."""


class BusServer:
    """Takes clients inside a ``with`` and remembers what each says. Asked by one test."""

    def __init__(
        self,
        port: int = 0,
        *,
        refuse: HTTPStatus | None = None,
        pongs: bool = True,
        reads: bool = True,
    ) -> None:
        self._port = port
        self._pongs = pongs
        self.refuse = refuse
        """What the next clients are answered instead of being let in."""
        self.reads = reads
        """Whether the next clients are heard at all."""
        self._over = threading.Event()
        self.authorizations: list[str | None] = []
        """What each client showed, those included that were refused."""
        self.heard: list[Message] = []
        """Everything that was said but pings, in order."""
        self.pings = 0
        self._clients: list[ServerConnection] = []
        self._joined = 0
        self._changed = threading.Condition()
        self._server: Server
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        self._server = serve(self._talk, "127.0.0.1", self._port, process_request=self._admit)
        self._port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="bus server")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self.hang_up()
        self._thread.join(SOON_S)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"ws://127.0.0.1:{self._port}"

    def say(self, frame: Message | str | bytes) -> None:
        """Tell every client."""
        told = json.dumps(frame) if isinstance(frame, dict) else frame
        for client in list(self._clients):
            client.send(told)

    def order(self, *, enabled: bool) -> None:
        """Tell every client that somebody switched the microphones."""
        data = {"module": "audio", "enabled": enabled}
        self.say({"type": "module_status_changed", "data": data, "timestamp": "now"})

    def hang_up(self) -> None:
        """Close every connection."""
        for client in list(self._clients):
            client.close()

    def drop(self) -> None:
        """End every connection without a goodbye."""
        for client in list(self._clients):
            with suppress(OSError):  # it has left, and its thread has yet to say so
                client.socket.shutdown(socket.SHUT_RDWR)

    def wait(self, that: Callable[[], bool]) -> None:
        """Wait until something is so, or fail."""
        with self._changed:
            came = self._changed.wait_for(that, SOON_S)
            assert came, f"not within {SOON_S} s; heard {self.heard}"

    def wait_for_clients(self, joined: int) -> None:
        """Wait until so many have come in, those included that have left."""
        self.wait(lambda: self._joined >= joined)

    def wait_for_parted(self, number: int) -> None:
        """Wait until so many have left."""
        self.wait(lambda: self._joined - len(self._clients) >= number)

    @property
    def joined(self) -> int:
        """How many have come in so far."""
        return self._joined

    def of(self, kind: str) -> list[Message]:
        """Return the data of what was said with this type."""
        return [each.get("data", {}) for each in self.heard if each.get("type") == kind]

    def _admit(self, _: ServerConnection, request: Request) -> Response | None:
        with self._changed:
            self.authorizations.append(request.headers.get("Authorization"))
            self._changed.notify_all()
        if self.refuse is None:
            return None
        return Response(self.refuse, "", type(request.headers)())

    def _talk(self, client: ServerConnection) -> None:
        with self._changed:
            self._clients.append(client)
            self._joined += 1
            self._changed.notify_all()
        if not self.reads:
            self._over.wait()
        with suppress(ConnectionClosed, OSError):
            for frame in client:
                self._hear(client, json.loads(frame))
        with self._changed:
            self._clients.remove(client)
            self._changed.notify_all()

    def _hear(self, client: ServerConnection, message: Message) -> None:
        is_ping = message.get("type") == "ping"
        with self._changed:
            self.pings += is_ping
            if not is_ping:
                self.heard.append(message)
            self._changed.notify_all()
        if is_ping and self._pongs:
            client.send(json.dumps({"type": "pong", "timestamp": "now"}))
