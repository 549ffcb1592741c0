"""Server: the page, its parts, and the WebSocket behind it, on this machine only."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from jarvis_ear.console.browser import Ask, Browser
from jarvis_ear.console.door import PROTOCOL, Door, Visit, bearer_token, offered_token
from jarvis_ear.console.errors import Refusal
from jarvis_ear.page.assets import INDEX, KIND, PATH, headers, read_assets
from jarvis_ear.system.feed import Feed

MAX_MESSAGE: Final = 64 * 1024
"""Bytes: an order has forty."""

MAX_BROWSERS: Final = 32
"""Open pages at once; more are told to come back."""

HEARTBEAT_S: Final = 20.0
"""A page on a sleeping phone is gone after this."""

_LOGGER = logging.getLogger(__name__)


class Pages:
    """Answers every request of the console. Lives on the loop.

    ``GET`` changes nothing; orders come over the WebSocket, which needs the token. Bound:
    ``MAX_BROWSERS``. Policy: one more gets 503. Counter: ``refused``, with those who may not come.
    """

    def __init__(
        self, door: Door, feed: Feed, ask: Ask, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._door = door
        self._feed = feed
        self._ask = ask
        self._now = now
        self._assets = read_assets()
        self._open: set[web.WebSocketResponse] = set()
        self.refused = 0

    def application(self) -> web.Application:
        """Make the application that serves them."""
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_MESSAGE)
        app.on_response_prepare.append(_dress)
        app.on_shutdown.append(self._close)
        router = app.router
        router.add_get(PATH, self._page, allow_head=False)
        router.add_get(f"{PATH}/{KIND}", self._kind, allow_head=False)
        router.add_get(f"{PATH}/token", self._token, allow_head=False)
        router.add_get(f"{PATH}/feed", self._watch, allow_head=False)
        for name in self._assets:
            router.add_get(f"{PATH}/{name}", self._page, allow_head=False)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._door.check_page(_visit(request))
            return await handler(request)
        except Refusal as refusal:
            self.refused += 1
            return web.Response(status=refusal.status, text=str(refusal))

    async def _page(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix(PATH).lstrip("/") or INDEX
        asset = self._assets[name]
        return web.Response(body=asset.body, headers={"Content-Type": asset.media_type})

    async def _kind(self, _request: web.Request) -> web.Response:
        return web.json_response({"kind": "ear"})

    async def _token(self, request: web.Request) -> web.Response:
        """Say whether a token is right: a page cannot see why its WebSocket was refused."""
        self._door.check_token(_visit(request))
        return web.Response(status=204)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self._door.check_token(_visit(request))
        if len(self._open) >= MAX_BROWSERS:
            raise Refusal(503, f"Service Unavailable: expected at most {MAX_BROWSERS} open pages")
        socket = web.WebSocketResponse(
            protocols=[PROTOCOL], heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE, compress=False
        )
        if not socket.can_prepare(request):
            raise Refusal(426, "Upgrade Required: expected a WebSocket")
        await socket.prepare(request)
        self._open.add(socket)
        try:
            await Browser(socket, self._feed, self._ask, self._now).run()
        except (TimeoutError, ConnectionError) as gone:
            _LOGGER.debug("a page is gone: %s", gone)
        finally:
            self._open.discard(socket)
        return socket

    async def _close(self, _app: web.Application) -> None:
        await asyncio.gather(*(socket.close() for socket in tuple(self._open)))


async def _dress(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(headers(microphone=False))
    response.headers["Server"] = "jarvis-ear"


def _visit(request: web.Request) -> Visit:
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    token = offered_token(one.strip() for one in offered.split(","))
    return Visit(
        host=request.headers.get("Host", ""),
        origin=request.headers.get("Origin"),
        query=request.query_string,
        token=token or bearer_token(request.headers.get("Authorization", "")),
    )
