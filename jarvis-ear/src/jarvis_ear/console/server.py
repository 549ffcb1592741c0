"""Console server: the page and its WebSocket, in a separate process."""

import asyncio
import hmac
import json
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler

from jarvis_ear.control.commands import MODULE_WORDS, TUNE, CommandRate
from jarvis_ear.control.feed import Feed, encode
from jarvis_ear.errors import InputError
from jarvis_ear.page import INDEX, KIND, PATH, headers, read_assets
from jarvis_ear.wake_ledger.clips import find_folder, listing, opened

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

MAX_FAILURES: Final = 10
"""Wrong tokens within ``FAILURES_S``, from all clients, after which all tokens are refused."""

FAILURES_S: Final = 60.0
"""Seconds. A person makes a few mistakes; guessing 256 bits is hopeless at this rate."""


class RequestGuard:
    """Checks host name, origin and token of requests. Runs on the event loop."""

    def __init__(self, port: int, token: str, now: Callable[[], float]) -> None:
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))
        self._token = token.encode()
        self._now = now
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES)

    def check_page(self, host: str, origin: str | None, query: str) -> None:
        """Raise ``Refusal`` unless the request is for this server and from its own page.

        ``host`` reveals a page that rebinds its own name to our address (DNS rebinding).
        """
        if host.lower() not in self._hosts:
            raise Refusal(403, f"Forbidden: expected one of {', '.join(sorted(self._hosts))}")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            raise Refusal(403, "Forbidden: expected no page but this server's own")
        if query:
            raise Refusal(400, "Bad Request: expected no query; a token there ends up in histories")

    def check_token(self, token: str) -> None:
        """Raise ``Refusal`` unless the token is correct."""
        while self._failures and self._now() - self._failures[0] > FAILURES_S:
            self._failures.popleft()
        if len(self._failures) >= MAX_FAILURES:
            raise Refusal(429, "Too Many Requests: too many wrong tokens, wait a minute")
        if not hmac.compare_digest(token.encode(errors="replace"), self._token):
            if token:
                self._failures.append(self._now())
            raise Refusal(401, "Unauthorized: expected the token that jarvis-ear console printed")


def request_token(headers: Mapping[str, str]) -> str:
    """Return the token among the offered subprotocols or in ``Authorization``, or nothing."""
    for protocol in headers.get("Sec-WebSocket-Protocol", "").split(","):
        if protocol.strip().startswith(_OFFER):
            return protocol.strip().removeprefix(_OFFER)
    authorization = headers.get("Authorization", "")
    return authorization.removeprefix(_SCHEME) if authorization.startswith(_SCHEME) else ""


COMMANDS: Final = ("mute", "unmute", "toggle", "stop", "listen", *MODULE_WORDS)
"""Commands that a page may send: those of the control socket that change something."""

_TUNE: Final = re.compile(rf"{TUNE} (default|[a-z_]+=[0-9.]{{1,8}}( [a-z_]+=[0-9.]{{1,8}})?)")
"""The command with which a page stores what was tuned on it."""

SEND_S: Final = 5.0
"""Seconds; a browser that reads nothing for longer is disconnected, and reconnects."""

Ask = Callable[[str], Awaitable[Mapping[str, Any]]]


def _is_command(word: str) -> bool:
    return word in COMMANDS or _TUNE.fullmatch(word) is not None


class Browser:
    """Serves one open page. Runs on the event loop."""

    def __init__(
        self, socket: web.WebSocketResponse, feed: Feed, ask: Ask, now: Callable[[], float]
    ) -> None:
        self._socket = socket
        self._feed = feed
        self._ask = ask
        self._has_news = asyncio.Event()
        self._rate = CommandRate(now)

    async def run(self) -> None:
        """Serve until the page disconnects."""
        sending = asyncio.create_task(self._send_feed())
        try:
            await self._receive()
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def _send_feed(self) -> None:
        subscription = self._feed.subscribe(self._has_news.set)
        self._has_news.set()
        try:
            while True:
                await self._has_news.wait()
                self._has_news.clear()
                if (news := subscription.fetch()) is not None:
                    await self._send(encode(news))
        except (TimeoutError, ConnectionError):
            await self._socket.close(code=WSCloseCode.GOING_AWAY)
        finally:
            subscription.close()

    async def _receive(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT or not self._rate.allows():
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION)
                return
            await self._handle(message.data)

    async def _handle(self, text: str) -> None:
        try:
            message: object = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        match message:
            case {"order": str(word), "id": int(number)} if _is_command(word):
                answer = await self._ask(word)
            case _:
                error = f"expected an order, one of {', '.join(COMMANDS)}, and an id"
                answer, number = {"error": error}, 0
        await self._send(json.dumps({"answer": answer, "id": number}))

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(SEND_S):
            await self._socket.send_str(text)


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
        self, guard: RequestGuard, feed: Feed, ask: Ask, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._guard = guard
        self._feed = feed
        self._ask = ask
        self._now = now
        self._assets = read_assets()
        self._open: set[web.WebSocketResponse] = set()
        self.refused = 0

    def application(self) -> web.Application:
        """Make the application that serves the pages."""
        app = web.Application(middlewares=[self._check], client_max_size=MAX_MESSAGE)
        app.on_response_prepare.append(_add_headers)
        app.on_shutdown.append(self._close)
        router = app.router
        router.add_get(PATH, self._page, allow_head=False)
        router.add_get(f"{PATH}/{KIND}", self._kind, allow_head=False)
        router.add_get(f"{PATH}/token", self._token, allow_head=False)
        router.add_get(f"{PATH}/feed", self._watch, allow_head=False)
        router.add_get(f"{PATH}/clips", self._list_clips, allow_head=False)
        router.add_get(f"{PATH}/clips/{{id:[0-9a-f]{{8}}}}", self._clip, allow_head=False)
        for name in self._assets:
            router.add_get(f"{PATH}/{name}", self._page, allow_head=False)
        return app

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = request.headers
        try:
            self._guard.check_page(
                headers.get("Host", ""), headers.get("Origin"), request.query_string
            )
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
        self._guard.check_token(request_token(request.headers))
        return web.Response(status=204)

    async def _list_clips(self, request: web.Request) -> web.StreamResponse:
        """List the clips of the wake ledger as `events list --json` does, with ``error`` if not."""
        self._guard.check_token(request_token(request.headers))
        try:
            answer = _clips()
        except PermissionError:
            answer = {**listing(None, []), "error": _NOT_OURS}
        except OSError as error:
            answer = {**listing(None, []), "error": f"the clips cannot be read: {error.strerror}"}
        return web.json_response(answer)

    async def _clip(self, request: web.Request) -> web.StreamResponse:
        self._guard.check_token(request_token(request.headers))
        try:
            wav = _sound_of(request.match_info["id"])
        except (OSError, InputError):
            raise Refusal(404, "Not Found: there is no such clip now") from None
        return web.Response(body=wav, content_type="audio/wav")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self._guard.check_token(request_token(request.headers))
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


_NOT_OURS: Final = "the clips belong to another user: run the console as that user, or as root"


def _clips() -> dict[str, Any]:
    """List all clips, within milliseconds; on the event loop, because root changes its user."""
    folder = find_folder()
    if folder is None:
        return listing(None, [])
    with opened(folder) as clips:
        return listing(folder, clips.all())


def _sound_of(clip_id: str) -> bytes:
    folder = find_folder()
    if folder is None:
        raise FileNotFoundError
    with opened(folder) as clips:
        return clips.wav(clips.find(clip_id))


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(headers(microphone=False))
    response.headers["Server"] = "jarvis-ear"
