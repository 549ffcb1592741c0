"""Browser: one WebSocket of the page. News goes down, orders come up."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from jarvis_ear.system.feed import Feed
from jarvis_ear.system.feed_lines import encode
from jarvis_ear.system.orders import MODULE_WORDS

ORDERS: Final = ("mute", "unmute", "toggle", "hush", *MODULE_WORDS)
"""What may be ordered: the words of the control socket that do something."""

SEND_S: Final = 5.0
"""A browser that takes nothing for so long is gone, and comes back by itself."""

ORDERS_PER_S: Final = 5.0
"""Faster than anybody presses a button; what the ear is asked for has an end."""

BURST: Final = 20.0
"""Orders that may come at once."""

Ask = Callable[[str], Awaitable[Mapping[str, Any]]]


class Browser:
    """Serves one open page. Lives on the loop."""

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
        """Serve until the page goes."""
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
        told: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return told
