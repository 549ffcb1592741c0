"""The message queue by which the processes of one backend share messages and keys.

Each process keeps its own state and asks the queue only for that of the others, so that it also
works alone, and while the queue is away.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

Message: TypeAlias = Mapping[str, Any]
"""What processes send each other: a JSON object."""


class MessageQueue:
    """The queue of a process that is alone: it publishes and stores nothing. Lives on the loop.

    ``RedisQueue`` connects several processes. While it is away it does as this class does; no
    method raises.
    """

    def __init__(self) -> None:
        self.process_id = secrets.token_hex(8)
        """Identifies this process among all others."""

    def subscribe(self, channel: str, deliver: Callable[[Message], None]) -> None:
        """Call ``deliver`` for each message on ``channel``, including those of this process.

        To be called before ``start``.
        """

    def when_connected(self, call: Callable[[], Awaitable[None]]) -> None:
        """Await ``call`` after each connection. To be called before ``start``."""

    async def publish(self, channel: str, message: Message) -> None:
        """Send ``message`` to the subscribers of ``channel`` in all processes."""

    async def store(self, key: str, text: str, keep_s: float | None = None) -> None:
        """Store ``text`` as ``key``, for ``keep_s`` seconds if they are given."""

    async def fetch(self, key: str) -> str | None:  # noqa: ARG002 - see RedisQueue
        """Return the text of ``key``."""
        return None

    async def fetch_all(self, prefix: str) -> list[str]:  # noqa: ARG002 - see RedisQueue
        """Return the texts of all keys that begin with ``prefix``."""
        return []

    async def claim(self, key: str, keep_s: float) -> bool:  # noqa: ARG002 - see RedisQueue
        """Take ``key`` for ``keep_s`` seconds; return False if it is taken already."""
        return True

    async def count(self, key: str, window_s: float) -> int:  # noqa: ARG002 - see RedisQueue
        """Increment ``key``, which starts at 0 every ``window_s`` seconds, and return it."""
        return 0

    async def delete(self, key: str) -> None:
        """Delete ``key``."""

    async def start(self) -> None:
        """Start connecting, and return at once."""

    async def aclose(self) -> None:
        """Close all connections."""
