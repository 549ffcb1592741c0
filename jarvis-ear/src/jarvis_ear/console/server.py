"""Console server: the page and its WebSocket, in a separate process."""

import asyncio
import hmac
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler

from jarvis_ear.control.commands import MODULE_WORDS
from jarvis_ear.control.feed import Feed, encode
from jarvis_ear.page import INDEX, KIND, PATH, headers, read_assets

_LOGGER = logging.getLogger(__name__)


class Refusal(Exception):
    """Rejection of a request, with the status and text of the response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


PROTOCOL: Final = "jarvis-console"
"""The negotiated subprotocol. The token is offered beside it, and never sent back."""

_OFFER: Final = "token."
_SCHEME: Final = "Bearer "

GUESSES: Final = 10
"""Wrong tokens within ``GUESSES_S``, from all clients, after which all tokens are refused."""

GUESSES_S: Final = 60.0
"""Seconds. A person makes a few mistakes; guessing 256 bits is hopeless at this rate."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Headers, query and token of a request. A value."""

    host: str
    origin: str | None
    query: str
    token: str


class RequestGuard:
    """Checks host name, origin and token of requests. Runs on the event loop."""

    def __init__(self, port: int, token: str, now: Callable[[], float]) -> None:
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))
        self._token = token.encode()
        self._now = now
        self._wrong: deque[float] = deque(maxlen=GUESSES)

    def check_page(self, visit: Visit) -> None:
        """Raise ``Refusal`` unless the request is for this server and from its own page.

        ``Host`` reveals a page that rebinds its own name to our address (DNS rebinding).
        """
        if visit.host.lower() not in self._hosts:
            raise Refusal(403, f"Forbidden: expected one of {', '.join(sorted(self._hosts))}")
        if visit.origin is not None and visit.origin.lower() != f"http://{visit.host.lower()}":
            raise Refusal(403, "Forbidden: expected no page but this server's own")
        if visit.query:
            raise Refusal(400, "Bad Request: expected no query; a token there ends up in histories")

    def check_token(self, visit: Visit) -> None:
        """Raise ``Refusal`` unless the token is correct."""
        while self._wrong and self._now() - self._wrong[0] > GUESSES_S:
            self._wrong.popleft()
        if len(self._wrong) >= GUESSES:
            raise Refusal(429, "Too Many Requests: too many wrong tokens, wait a minute")
        if not hmac.compare_digest(visit.token.encode(errors="replace"), self._token):
            if visit.token:
                self._wrong.append(self._now())
            raise Refusal(401, "Unauthorized: expected the token that jarvis-ear console printed")


def offered_token(protocols: Iterable[str]) -> str:
    """Return the token among the offered subprotocols, or nothing."""
    for protocol in protocols:
        if protocol.startswith(_OFFER):
            return protocol.removeprefix(_OFFER)
    return ""


def bearer_token(authorization: str) -> str:
    """Return the token of an ``Authorization`` header, or nothing."""
    return authorization[len(_SCHEME) :] if authorization.startswith(_SCHEME) else ""


ORDERS: Final = ("mute", "unmute", "toggle", "hush", *MODULE_WORDS)
"""Commands that a page may send: those of the control socket that change something."""

SEND_S: Final = 5.0
"""Seconds; a browser that reads nothing for longer is disconnected, and reconnects by itself."""

ORDERS_PER_S: Final = 5.0
"""Rate limit of commands, faster than a person presses a button."""

BURST: Final = 20.0
"""Commands that may arrive at once."""

Ask = Callable[[str], Awaitable[Mapping[str, Any]]]


class Browser:
    """Serves one open page. Runs on the event loop."""

    def __init__(
        self, socket: web.WebSocketResponse, feed: Feed, ask: Ask, now: Callable[[], float]
    ) -> None:
        self._socket = socket
        self._feed = feed
        self._ask = ask
        self._now = now
        self._news = asyncio.Event()
        self._allowed = BURST
        self._asked_at = now()

    async def run(self) -> None:
        """Serve until the page disconnects."""
        telling = asyncio.create_task(self._tell())
        try:
            await self._hear()
        finally:
            telling.cancel()
            await asyncio.wait([telling])

    async def _tell(self) -> None:
        subscription = self._feed.subscribe(self._news.set)
        self._news.set()
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if (news := subscription.fetch()) is not None:
                    await self._say(encode(news))
        except (TimeoutError, ConnectionError):
            await self._socket.close(code=WSCloseCode.GOING_AWAY)
        finally:
            subscription.close()

    async def _hear(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT or not self._is_in_time():
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION)
                return
            await self._obey(message.data)

    async def _obey(self, text: str) -> None:
        match _read(text):
            case {"order": str(word), "id": int(number)} if word in ORDERS:
                answer = await self._ask(word)
                await self._say(json.dumps({"answer": answer, "id": number}))
            case _:
                error = f"expected an order, one of {', '.join(ORDERS)}, and an id"
                await self._say(json.dumps({"answer": {"error": error}, "id": 0}))

    async def _say(self, text: str) -> None:
        async with asyncio.timeout(SEND_S):
            await self._socket.send_str(text)

    def _is_in_time(self) -> bool:
        now = self._now()
        self._allowed = min(BURST, self._allowed + (now - self._asked_at) * ORDERS_PER_S)
        self._asked_at = now
        self._allowed -= 1
        return self._allowed >= 0


def _read(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


MAX_MESSAGE: Final = 64 * 1024
"""Bytes; a command has forty."""

MAX_BROWSERS: Final = 32
"""Simultaneously open pages; further ones get 503."""

HEARTBEAT_S: Final = 20.0
"""Seconds between pings, which detect a page on a sleeping phone."""


class Pages:
    """Answers every request of the console. Runs on the event loop.

    ``GET`` changes nothing; commands come over the WebSocket, which needs the token. Bound:
    ``MAX_BROWSERS``. Policy: further pages get 503. Counter: ``refused``, for all refusals.
    """

    def __init__(
        self, door: RequestGuard, feed: Feed, ask: Ask, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._door = door
        self._feed = feed
        self._ask = ask
        self._now = now
        self._assets = read_assets()
        self._open: set[web.WebSocketResponse] = set()
        self.refused = 0

    def application(self) -> web.Application:
        """Make the application that serves the pages."""
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
        """Check a token: a page cannot see why its WebSocket was refused."""
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
