"""Process: core dumps and the log of a process."""

import ctypes
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

PR_SET_DUMPABLE: Final = 4
"""A process that may not be dumped is read by root only (prctl(2)): no debugger of our own user, no
core, and in /proc neither its memory nor its environment."""


def forbid_dumps() -> None:
    """Let only root look into this process. Programs that it starts have to ask for themselves."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


STRANGERS: Final = "jarvis_backend.strangers"
"""The logger of whatever somebody can cause who has not logged in."""

THROTTLED: Final = (STRANGERS, "uvicorn", "asyncio", "h11", "wsproto")
"""Loggers, with those below them, that strangers can make speak as often as they like."""

LINES: Final = 5
"""Of each message so many lines are written in a period."""

PERIOD_S: Final = 60.0


class LogThrottle(logging.Filter):
    """Lets few lines of the loggers ``THROTTLED`` through. Any thread may log.

    Bound: ``LINES`` in ``PERIOD_S`` from one place of the code. Policy: one more is left out, and
    the last one that is written says so.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Count by the monotonic clock ``now``."""
        super().__init__()
        self._now = now
        self._lock = threading.Lock()
        self._began_s = now()
        self._counts: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` is written."""
        if not any(record.name == name or record.name.startswith(name + ".") for name in THROTTLED):
            return True
        with self._lock:
            count = self._count((record.pathname, record.lineno))
        if count == LINES:
            record.msg = f"{record.getMessage()} (more like it are left out for a minute)"
            record.args = ()
        return count <= LINES

    def _count(self, place: tuple[str, int]) -> int:
        now = self._now()
        if now - self._began_s >= PERIOD_S:
            self._began_s = now
            self._counts.clear()
        count = self._counts[place] = self._counts.get(place, 0) + 1
        return count


def log_to_stderr(level: str) -> None:
    """Write our lines from ``level`` on, and of others what is a warning."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("jarvis_backend").setLevel(level.upper())
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, LogThrottle) for one in handler.filters):
            handler.addFilter(LogThrottle())
