"""A light with an HTTP interface, as a hook or an example calls it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from fakes.voice_server import wait_until

ENDLESS: Final = 2**40
"""Bytes that an answer announces and never has."""


class Light(ThreadingHTTPServer):
    """Records each request; ``status`` is its answer. With ``hangs`` set, it answers nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status = 200
        self.hangs = False
        self.is_endless = False
        self.released = threading.Event()
        self.paths: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[dict[str, Any]] = []

    @property
    def events(self) -> list[str]:
        return [str(body["event"]) for body in self.bodies]

    def wait(self, that: Callable[[], Any]) -> None:
        wait_until(that)


class _Handler(BaseHTTPRequestHandler):
    server: Light

    def do_POST(self) -> None:
        light = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        light.paths.append(self.path)
        light.headers.append(dict(self.headers.items()))
        light.bodies.append(json.loads(body))
        if light.hangs:
            light.released.wait()
            return
        self.send_response(light.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(ENDLESS if light.is_endless else 0))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_light() -> Iterator[Light]:
    light = Light()
    threading.Thread(target=light.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield light
    finally:
        light.released.set()
        light.shutdown()
        light.server_close()
