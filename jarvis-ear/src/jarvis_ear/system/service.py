"""Service: the ear as the service manager sees it."""

import time
from collections.abc import Callable
from enum import Enum

from jarvis_ear.system.condition import Condition, status
from jarvis_ear.system.notify import AnyNotifier
from jarvis_ear.system.watchdog import Watchdog


class _Phase(Enum):
    """What the service manager believes of us."""

    STARTING = "starting"
    RUNNING = "running"
    RELOADING = "reloading"
    STOPPING = "stopping"


class Service:
    """Tells the service manager what has changed, and feeds its watchdog. Owned by the main thread.

    It is ready once, when the ear hears or is known to be unable to; ``reloading`` takes that back
    for a moment, and after ``stopping`` nothing is said any more.
    """

    def __init__(
        self,
        notifier: AnyNotifier,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notifier = notifier
        self._monotonic = monotonic
        self._status = ""
        self._phase = _Phase.STARTING

    def starting(self) -> None:
        """Say that the program has begun."""
        self._say_status("starting: loading the models")

    def look(self, condition: Condition, watchdog: Watchdog) -> None:
        """Look how things are, several times a second."""
        if self._phase is _Phase.STOPPING:
            return
        self._say_status(status(condition))
        if self._is_over(condition):
            self._phase = _Phase.RUNNING
            self._notifier.tell("READY=1", f"STATUS={self._status}")
        if watchdog.is_due():
            self._notifier.tell("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that the configuration is being read again; a look says when that is over."""
        if self._phase not in (_Phase.RUNNING, _Phase.RELOADING):
            return
        self._phase = _Phase.RELOADING
        microseconds = int(self._monotonic() * 1e6)
        self._notifier.tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """Say that the end has begun. A signal handler may do so, and say it again."""
        if self._phase is not _Phase.STOPPING:
            self._phase = _Phase.STOPPING
            self._notifier.tell("STOPPING=1", "STATUS=stopping")

    def _is_over(self, condition: Condition) -> bool:
        """Whether what the service manager waits for has just come to its end."""
        if self._phase is _Phase.STARTING:
            return condition.is_ready
        return self._phase is _Phase.RELOADING and not condition.reload_waits

    def _say_status(self, words: str) -> None:
        if words != self._status:
            self._status = words
            self._notifier.tell(f"STATUS={words}")
