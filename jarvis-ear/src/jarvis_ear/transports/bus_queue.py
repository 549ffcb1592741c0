"""BusQueue: what the event bus has yet to be told."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from jarvis_ear.wire.event_bus import Event, ModuleControl

QUEUE_EVENTS: Final = 64
"""A turn makes three, a mute one: many hours of an evening when nobody answers."""


class BusQueue:
    """Events on their way to the thread of the bus. Any thread may put one in; none ever waits.

    Bound: ``QUEUE_EVENTS``. Policy: the oldest goes. Counter: ``dropped``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Event | ModuleControl] = deque()
        self._wake: Callable[[], None] = _nobody
        self.dropped = 0

    def put(self, event: Event | ModuleControl) -> None:
        """Have ``event`` said after what waits already."""
        with self._lock:
            if len(self._waiting) >= QUEUE_EVENTS:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(event)
            self._wake()

    def take(self) -> Event | ModuleControl | None:
        """Return what comes next, if anything waits."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def listen(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after each event, under the lock: it must not wait."""
        with self._lock:
            self._wake = wake

    def unlisten(self) -> None:
        """Call nobody any more."""
        self.listen(_nobody)


def _nobody() -> None:
    """Stand in while the thread of the bus does not run."""
