"""The message queue: what several processes that serve one backend know of each other.

Everything works without it too, for one process: whoever uses a queue keeps what is its own, and
asks the queue for the rest. So a queue that is away costs only the company of the others.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

Message: TypeAlias = Mapping[str, Any]
"""What processes tell each other: a JSON object."""


class MessageQueue(Protocol):
    """Carries messages to other processes, and keeps texts for a while. Lives on the loop.

    While it is away nothing is carried or found, and nothing raises.
    """

    process_id: str
    """Tells this process from all others."""

    def subscribe(self, channel: str, deliver: Callable[[Message], None]) -> None:
        """Call ``deliver`` with what anybody publishes on ``channel``, this process too."""
        ...

    def when_there(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call ``call`` whenever the queue is there, and there again."""
        ...

    async def publish(self, channel: str, message: Message) -> None:
        """Have ``message`` delivered."""
        ...

    async def store(self, key: str, text: str, keep_s: float | None = None) -> None:
        """Keep ``text`` as ``key``, for ``keep_s`` seconds if they are given."""
        ...

    async def fetch(self, key: str) -> str | None:
        """Return what is kept as ``key``."""
        ...

    async def fetch_all(self, prefix: str) -> list[str]:
        """Return all that is kept under keys that begin with ``prefix``."""
        ...

    async def claim(self, key: str, keep_s: float) -> bool:
        """Take ``key`` for ``keep_s`` seconds; False if somebody has it."""
        ...

    async def count(self, key: str, window_s: float) -> int:
        """Return how often ``key`` was counted, now included, since ``window_s`` began."""
        ...

    async def forget(self, key: str) -> None:
        """Keep it no longer."""
        ...

    async def start(self) -> None:
        """Begin."""
        ...

    async def aclose(self) -> None:
        """Leave."""
        ...


class NoQueue:
    """The queue of a process that has no others. Immutable."""

    def __init__(self) -> None:
        self.process_id = secrets.token_hex(8)

    def subscribe(self, channel: str, deliver: Callable[[Message], None]) -> None:
        """Nobody publishes."""

    def when_there(self, call: Callable[[], Awaitable[None]]) -> None:
        """Never do so."""

    async def publish(self, channel: str, message: Message) -> None:
        """Nobody listens."""

    async def store(self, key: str, text: str, keep_s: float | None = None) -> None:
        """Nobody would ask."""

    async def fetch(self, key: str) -> str | None:  # noqa: ARG002 - the seam's
        """Nothing is kept."""
        return None

    async def fetch_all(self, prefix: str) -> list[str]:  # noqa: ARG002 - the seam's
        """Nothing is kept."""
        return []

    async def claim(self, key: str, keep_s: float) -> bool:  # noqa: ARG002 - the seam's
        """Nobody else wants it."""
        return True

    async def count(self, key: str, window_s: float) -> int:  # noqa: ARG002 - the seam's
        """Nobody else counts."""
        return 0

    async def forget(self, key: str) -> None:
        """Nothing is kept."""

    async def start(self) -> None:
        """Nothing to begin."""

    async def aclose(self) -> None:
        """Nothing is held."""
