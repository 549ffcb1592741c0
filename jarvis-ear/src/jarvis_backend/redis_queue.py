"""RedisQueue: the message queue of a backend with several processes, on one Redis server.

Only a backend with ``message_queue`` imports this module, and with it the client of Redis.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from jarvis_backend.message_queue import Message, MessageQueue

_LOG: Final = logging.getLogger(__name__)

PREFIX: Final = "jarvis:"
"""Prefix of all keys and channels: other programs may use the same server."""

ANSWER_S: Final = 1.0
"""Seconds after which an unanswered command counts as a lost connection."""

QUIET_S: Final = 2.0
"""Seconds without a message after which the server is pinged."""

RETRY_S: Final = 0.5
"""Seconds between two attempts to connect."""

_T = TypeVar("_T")


class _State(Enum):
    NEW = "new"
    CONNECTED = "connected"
    AWAY = "away"


class RedisQueue(MessageQueue):
    """A queue on one Redis server, which may start late, go away and come back.

    Nothing waits in it: what is published while Redis is away is lost. That costs other processes
    an event, and no satellite its reply. The first failure is a WARNING, the return an INFO.
    """

    def __init__(self, url: str, password: str | None) -> None:
        super().__init__()
        self._redis: Redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),  # _run tries again, and no caller waits for it
            password=password,
        )
        self._channels: dict[str, list[Callable[[Message], None]]] = {}
        self._when_connected: list[Callable[[], Awaitable[None]]] = []
        self._state = _State.NEW
        self._away_since = 0.0
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, channel: str, deliver: Callable[[Message], None]) -> None:
        """Add ``deliver`` to the subscribers of ``channel``."""
        self._channels.setdefault(PREFIX + channel, []).append(deliver)

    def when_connected(self, call: Callable[[], Awaitable[None]]) -> None:
        """Add ``call``."""
        self._when_connected.append(call)

    async def publish(self, channel: str, message: Message) -> None:
        """Publish ``message``."""
        text = json.dumps(message)
        await self._try(lambda: self._redis.publish(PREFIX + channel, text), None)

    async def store(self, key: str, text: str, keep_s: float | None = None) -> None:
        """Set a key, with an expiry."""
        await self._try(lambda: self._redis.set(PREFIX + key, text, px=_ms(keep_s)), None)

    async def fetch(self, key: str) -> str | None:
        """Read a key."""
        found: str | None = await self._try(lambda: self._redis.get(PREFIX + key), None)
        return found

    async def fetch_all(self, prefix: str) -> list[str]:
        """Scan for the prefix and read the keys."""
        return await self._try(lambda: self._fetch_all(PREFIX + prefix), [])

    async def claim(self, key: str, keep_s: float) -> bool:
        """Set a key unless it exists."""
        return bool(
            await self._try(
                lambda: self._redis.set(PREFIX + key, self.process_id, px=_ms(keep_s), nx=True),
                True,  # noqa: FBT003 - the answer while it is away
            )
        )

    async def count(self, key: str, window_s: float) -> int:
        """Increment a key that expires after the window."""
        return int(await self._try(lambda: self._count(PREFIX + key, window_s), 0))

    async def delete(self, key: str) -> None:
        """Delete the key."""
        await self._try(lambda: self._redis.delete(PREFIX + key), None)

    async def start(self) -> None:
        """Start a task that connects whenever there is no connection."""
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Stop the task and close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        with suppress(RedisError, OSError):
            await self._redis.aclose()

    async def _try(self, command: Callable[[], Awaitable[Any]], default: _T) -> _T:
        if self._state is not _State.CONNECTED:
            return default
        try:
            answer: _T = await command()
        except (RedisError, OSError) as error:
            self._on_lost(error)
            return default
        return answer

    async def _fetch_all(self, prefix: str) -> list[str]:
        keys = [key async for key in self._redis.scan_iter(match=prefix + "*", count=1000)]
        found = await self._redis.mget(keys) if keys else []
        return [str(text) for text in found if text is not None]

    async def _count(self, key: str, window_s: float) -> int:
        async with self._redis.pipeline() as pipeline:
            pipeline.set(key, 0, px=_ms(window_s), nx=True)
            pipeline.incr(key)
            _, counted = await pipeline.execute()
        return int(counted)

    async def _run(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await self._listen(pubsub)
            except (RedisError, OSError) as error:
                self._on_lost(error)
            # After a restart of the server each pooled connection would fail at its next use.
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            await asyncio.sleep(RETRY_S)

    async def _listen(self, pubsub: PubSub) -> None:
        await pubsub.subscribe(*self._channels)
        self._on_connected()
        for call in self._when_connected:
            await call()
        while self._state is _State.CONNECTED:
            message = await pubsub.get_message(timeout=QUIET_S)
            if message is None:
                await self._redis.ping()
            elif message["type"] == "message":
                self._deliver(message["channel"], message["data"])

    def _deliver(self, channel: str, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            _LOG.debug("message queue: %s received something other than a JSON object", channel)
            return
        for deliver in self._channels.get(channel, ()):
            deliver(message)

    def _on_connected(self) -> None:
        if self._state is _State.AWAY:
            _LOG.info("message queue is back after %.1f s", time.monotonic() - self._away_since)
        self._state = _State.CONNECTED

    def _on_lost(self, error: Exception) -> None:
        if self._state is _State.AWAY:
            return
        self._state = _State.AWAY
        self._away_since = time.monotonic()
        _LOG.warning(
            "message queue is away (%s): this process continues alone until it is back",
            type(error).__name__,
        )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
