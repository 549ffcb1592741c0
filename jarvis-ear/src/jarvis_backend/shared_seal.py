"""A seal of the event bus that several processes put their hands to."""

from collections.abc import Callable, Mapping
from typing import Any

from jarvis_backend.message_queue import MessageQueue
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import MessageSigner
from jarvis_ear.wires.json_fields import RemoteProtocolError


class SharedSeal:
    """Signs what goes out; what comes in is good once, in all processes. Lives on the loop."""

    def __init__(self, key: bytes | None, now: Callable[[], float], queue: MessageQueue) -> None:
        """Use ``key``, or none at all; ``now`` is a wall clock."""
        self._is_used = key is not None
        self._seal = MessageSigner(key, now)
        self._queue = queue

    def write(self, payload: Mapping[str, Any]) -> str:
        """Return the frame that says ``payload``."""
        return self._seal.write(payload)

    async def check(self, payload: Mapping[str, Any]) -> None:
        """Return if ``payload`` may be believed, else raise RemoteProtocolError."""
        self._seal.check(payload)
        if not self._is_used:
            return
        if not await self._queue.claim(f"signature:{payload['signature']}", 2 * wire.WINDOW_S):
            raise RemoteProtocolError("Repeated message; expected each one once")
