"""An event bus that says what a test tells it to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from fakes.switch import FakeSwitch
from fakes.websocket_server import SOON_S, WebSocketServer, refusal
from jarvis_ear.bus.client import BusClient
from jarvis_ear.config import BackendOptions, BusOptions
from jarvis_ear.delivery.timeouts import Timing

TIMING: Final = Timing(connect_s=SOON_S, login_s=SOON_S, ping_s=0.05, dead_s=SOON_S, stop_s=SOON_S)
"""Generous: a machine with other work is no reason to leave a link, or to give up stopping."""

Message = dict[str, Any]


class BusServer(WebSocketServer):
    """Takes clients inside a ``with`` and remembers what each says. Asked by one test."""

    def __init__(
        self,
        port: int = 0,
        *,
        refuse: HTTPStatus | None = None,
        pongs: bool = True,
        reads: bool = True,
    ) -> None:
        super().__init__(port=port)
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

    def __exit__(self, *_: object) -> None:
        self._over.set()
        super().__exit__()

    @property
    def url(self) -> str:
        return super().url.replace("http", "ws", 1)

    def say(self, frame: Message | str | bytes) -> None:
        self.throw(json.dumps(frame) if isinstance(frame, dict) else frame)

    def order(self, *, enabled: bool) -> None:
        """Tell every client that the microphones were switched."""
        data = {"module": "audio", "enabled": enabled}
        self.say({"type": "module_status_changed", "data": data, "timestamp": "now"})

    def wait_for_clients(self, joined: int) -> None:
        """Wait until this many clients have come in, including those that have left."""
        self.wait(lambda: self.joined >= joined)

    def wait_for_parted(self, number: int) -> None:
        """Wait until this many clients have left."""
        self.wait(lambda: self.joined - len(self.lines) >= number)

    def of(self, kind: str) -> list[Message]:
        return [each.get("data", {}) for each in self.heard if each.get("type") == kind]

    def admit(self, request: Request) -> Response | None:
        self.authorizations.append(request.headers.get("Authorization"))
        return None if self.refuse is None else refusal(self.refuse)

    def greet(self, _line: ServerConnection) -> None:
        if not self.reads:
            self._over.wait()

    def hear(self, line: ServerConnection, frame: str | bytes) -> None:
        message = json.loads(frame)
        is_ping = message.get("type") == "ping"
        with self.changed:
            self.pings += is_ping
            if not is_ping:
                self.heard.append(message)
            self.changed.notify_all()
        if is_ping and self._pongs:
            line.send(json.dumps({"type": "pong", "timestamp": "now"}))


@contextmanager
def members(switch: FakeSwitch) -> Iterator[Callable[..., BusClient]]:
    """Make ears members of a bus; they leave at the end, in time."""
    joined: list[BusClient] = []

    def join(
        url: str,
        timing: Timing = TIMING,
        backend: BackendOptions | None = None,
        **options: Any,
    ) -> BusClient:
        bus = BusOptions(url=url, **options)
        joined.append(BusClient(bus, backend or BackendOptions(), switch, timing))
        joined[-1].start()
        return joined[-1]

    yield join
    for client in joined:
        began = time.monotonic()
        client.stop()
        assert not client._thread.alive
        assert time.monotonic() - began < 2
