"""The message queue on a Redis server: it may come late, go away and come back."""

import asyncio
import json
import logging
import secrets
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

from jarvis_backend.message_queue import Message

_LOG: Final = logging.getLogger(__name__)

PREFIX: Final = "jarvis:"
"""Before all our keys and channels: the server may have other users."""

ANSWER_S: Final = 1.0
"""How long Redis may take for anything; it is away then."""

QUIET_S: Final = 2.0
"""After so long without a message it is asked whether it is there."""

RETRY_S: Final = 0.5
"""Between two attempts to reach it."""

_T = TypeVar("_T")


class _State(Enum):
    NEW = "new"
    THERE = "there"
    AWAY = "away"


class RedisQueue:
    """Carries and keeps by one Redis server. Lives on the loop.

    Nothing waits in it: what is published while Redis is away is lost, which costs others an event,
    and is never owed to a satellite. The first failure is a WARNING, the return an INFO.
    """

    def __init__(self, url: str, password: str | None) -> None:
        """Use the server at ``url``; it is connected to by ``start``."""
        self.process_id = secrets.token_hex(8)
        self._redis: Redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),  # we try again ourselves, where nobody waits
            password=password,
        )
        self._channels: dict[str, list[Callable[[Message], None]]] = {}
        self._when_there: list[Callable[[], Awaitable[None]]] = []
        self._state = _State.NEW
        self._away_since = 0.0
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, channel: str, deliver: Callable[[Message], None]) -> None:
        """Call ``deliver`` with what is published; to be called before ``start``."""
        self._channels.setdefault(PREFIX + channel, []).append(deliver)

    def when_there(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call ``call`` after each connection; to be called before ``start``."""
        self._when_there.append(call)

    async def publish(self, channel: str, message: Message) -> None:
        """Publish ``message``."""
        text = json.dumps(message)
        await self._try(lambda: self._redis.publish(PREFIX + channel, text), None)

    async def store(self, key: str, text: str, keep_s: float | None = None) -> None:
        """Set a key."""
        await self._try(lambda: self._redis.set(PREFIX + key, text, px=_ms(keep_s)), None)

    async def fetch(self, key: str) -> str | None:
        """Get a key."""
        found: str | None = await self._try(lambda: self._redis.get(PREFIX + key), None)
        return found

    async def fetch_all(self, prefix: str) -> list[str]:
        """Get all keys of a prefix."""
        return await self._try(lambda: self._fetch_all(PREFIX + prefix), [])

    async def claim(self, key: str, keep_s: float) -> bool:
        """Set a key that is not there."""
        return bool(
            await self._try(
                lambda: self._redis.set(PREFIX + key, self.process_id, px=_ms(keep_s), nx=True),
                True,  # noqa: FBT003 - what a queue that is away says
            )
        )

    async def count(self, key: str, window_s: float) -> int:
        """Count up a key that lives for the window."""
        return int(await self._try(lambda: self._count(PREFIX + key, window_s), 0))

    async def forget(self, key: str) -> None:
        """Delete a key."""
        await self._try(lambda: self._redis.delete(PREFIX + key), None)

    async def start(self) -> None:
        """Connect, and go on connecting for ever; returns at once."""
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Stop, and close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        with suppress(RedisError, OSError):
            await self._redis.aclose()

    async def _try(self, work: Callable[[], Any], otherwise: _T) -> _T:
        if self._state is not _State.THERE:
            return otherwise
        try:
            answer: _T = await work()
        except (RedisError, OSError) as error:
            self._lost(error)
            return otherwise
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
                self._lost(error)
            # Those of a server that was restarted would fail one by one when they are used again.
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            await asyncio.sleep(RETRY_S)

    async def _listen(self, pubsub: PubSub) -> None:
        await pubsub.subscribe(*self._channels)
        self._found()
        for call in self._when_there:
            await call()
        while self._state is _State.THERE:
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
            _LOG.debug("message queue: %s carries what is no JSON object", channel)
            return
        for deliver in self._channels.get(channel, ()):
            deliver(message)

    def _found(self) -> None:
        if self._state is _State.AWAY:
            _LOG.info("message queue is back after %.1f s", time.monotonic() - self._away_since)
        self._state = _State.THERE

    def _lost(self, error: Exception) -> None:
        if self._state is _State.AWAY:
            return
        self._state = _State.AWAY
        self._away_since = time.monotonic()
        _LOG.warning(
            "message queue is away (%s): this process goes on alone until it is back",
            type(error).__name__,
        )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
