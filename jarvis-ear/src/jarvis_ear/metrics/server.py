"""MetricsServer: ``/metrics`` and ``/healthz`` over HTTP, if a port is configured."""

import asyncio
import ipaddress
import json
import logging
import re
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple, Self

from jarvis_ear.config_home import MetricsOptions
from jarvis_ear.journal.life import METRICS_TROUBLE
from jarvis_ear.link.network_thread import NetworkThread
from jarvis_ear.link.tls_and_tcp import error_text
from jarvis_ear.metrics.exposition import CONTENT_TYPE, Sources, exposition

_LOGGER = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 16
"""Simultaneous clients; a Prometheus server and a monitor of the home are two."""

MAX_HEAD: Final = 8192
"""Bytes of a request with its headers; those of Prometheus have some 400."""

CLIENT_S: Final = 5.0
"""Seconds in which a client must have sent its request and read the answer."""

STOP_S: Final = 1.0
"""Maximum seconds of a stop, which closes every connection."""

_REQUEST: Final = re.compile(r"([A-Z]{1,16}) (/[!-~]{0,1024}) HTTP/1\.[01]")
_PLAIN: Final = "text/plain; charset=utf-8"


class HttpAnswer(NamedTuple):
    """An answer of the server."""

    status: HTTPStatus
    body: str
    media_type: str = _PLAIN


class MetricsPages:
    """Answers requests. Runs on the event loop of the server.

    A page of another site that rebinds its own name to our address (DNS rebinding) is refused,
    because no name but that of this machine is accepted in ``Host``.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        own = socket.gethostname().lower()
        self._names = frozenset({"localhost", own, f"{own}.local"})

    def answer(self, head: str) -> HttpAnswer:
        """Return the answer to a request, given its first line and its headers."""
        first, *rest = head.split("\r\n")
        found = _REQUEST.fullmatch(first)
        if found is None:
            return HttpAnswer(HTTPStatus.BAD_REQUEST, "expected a request of HTTP/1.1\n")
        if not self._is_ours([line for line in rest if line.lower().startswith("host:")]):
            return HttpAnswer(HTTPStatus.FORBIDDEN, "expected this machine in Host\n")
        method, target = found.groups()
        pages: Mapping[str, Callable[[], HttpAnswer]] = {
            "/metrics": self._metrics,
            "/healthz": self._healthz,
        }
        page = pages.get(target.partition("?")[0])
        if page is None:
            return HttpAnswer(HTTPStatus.NOT_FOUND, f"expected one of {', '.join(pages)}\n")
        if method != "GET":
            return HttpAnswer(HTTPStatus.METHOD_NOT_ALLOWED, "expected GET\n")
        return page()

    def _is_ours(self, lines: list[str]) -> bool:
        """Whether the only line ``Host`` has an IP address, or a name of this machine."""
        if len(lines) != 1:
            return False
        host = re.sub(r":[0-9]{1,5}$", "", lines[0].partition(":")[2].strip().lower())
        try:
            ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        except ValueError:
            return host in self._names
        return True

    def _metrics(self) -> HttpAnswer:
        return HttpAnswer(HTTPStatus.OK, exposition(self._sources), CONTENT_TYPE)

    def _healthz(self) -> HttpAnswer:
        """Answer what the watchdog of the service manager gets."""
        beat = self._sources.beat
        status = HTTPStatus.OK if beat.is_alive else HTTPStatus.SERVICE_UNAVAILABLE
        fields = {"alive": status is HTTPStatus.OK, "beat": beat.count, "stuck": list(beat.stuck)}
        return HttpAnswer(status, json.dumps(fields) + "\n", "application/json")


class MetricsServer:
    """Listens on ``metrics.port``, if there is one. The main thread starts, changes and stops it.

    The thread "metrics" exists only while there is a port. Bound: ``MAX_CONNECTIONS``, each of
    ``CLIENT_S``. Policy: further clients are closed. Counter: ``metrics_refused``, of all requests
    without an answer of status 200 or 503. If the port is not free, one warning is logged and the
    ear continues without it.
    """

    def __init__(self, options: MetricsOptions) -> None:
        self._options = options
        self._sources: Sources
        self._pages: MetricsPages
        self._listener: socket.socket
        self._thread: NetworkThread | None = None
        self._is_open = False
        self._connections = 0
        self.refused = 0
        """Requests and connections that were refused."""

    def connect(self, sources: Sources) -> None:
        """Set where the numbers come from. Once, before the start."""
        self._sources = sources
        self._pages = MetricsPages(sources)

    def text(self) -> str:
        """Return all metrics, whether there is a port or not. Any thread."""
        return exposition(self._sources)

    def counters(self) -> Mapping[str, int]:
        """Return how many requests were refused. Any thread."""
        return {"metrics_refused": self.refused}

    def change(self, options: MetricsOptions) -> None:
        """Listen as these options say. Takes at most ``STOP_S``."""
        if options == self._options:
            return
        self._options = options
        if self._is_open:
            self._end()
            self._begin()

    def __enter__(self) -> Self:
        self._is_open = True
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._end()

    def _begin(self) -> None:
        host, port = self._options.host, self._options.port
        if not port:
            return
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=64)
        except OSError as error:
            place, reason = f"{host}:{port}", error_text(error)
            fields = METRICS_TROUBLE.fields(PLACE=place, REASON=reason)
            _LOGGER.warning("metrics.port: cannot listen on %s: %s", place, reason, extra=fields)
            return
        self._thread = NetworkThread(self._run, "jarvis-ear-metrics")
        self._thread.start()

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop(STOP_S)

    async def _run(self, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._serve, sock=self._listener, limit=MAX_HEAD)
        try:
            await stop.wait()
        finally:
            server.close()  # the thread cancels what its connections do

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close. Nothing that a client sends raises further than here."""
        self._connections += 1
        try:
            if self._connections > MAX_CONNECTIONS:
                self.refused += 1
                return
            async with asyncio.timeout(CLIENT_S):
                await self._exchange(reader, writer)
        except (OSError, EOFError, TimeoutError) as error:  # EOFError: half a request
            self.refused += 1
            _LOGGER.debug("a client of the metrics is gone: %s", type(error).__name__)
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            answer = self._pages.answer(head.decode("latin-1"))
        except asyncio.LimitOverrunError:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            answer = HttpAnswer(status, f"expected at most {MAX_HEAD} bytes\n")
        self.refused += answer.status not in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE)
        body = answer.body.encode()
        lines = (
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
            f"Content-Type: {answer.media_type}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        )
        writer.write("\r\n".join((*lines, "", "")).encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()  # all of it is on its way
