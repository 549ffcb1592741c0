"""What each process of the backend sets up: no core dumps, and a log with a limited rate."""

import ctypes
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

PR_SET_DUMPABLE: Final = 4
"""Only root can read a process that is not dumpable (prctl(2)): its user cannot debug it, it writes
no core, and /proc shows neither its memory nor its environment."""


def forbid_dumps() -> None:
    """Make this process unreadable for all but root. Child programs do not inherit that."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


CLIENT_LOG: Final = "jarvis_backend.clients"
"""Logger of what clients can cause before their login."""

THROTTLED: Final = (CLIENT_LOG, "uvicorn", "asyncio", "h11", "wsproto")
"""Loggers, including their children, to which clients can write at any rate."""

LINES: Final = 5
"""Lines that one place of the code may write in ``PERIOD_S``."""

PERIOD_S: Final = 60.0


class LogThrottle(logging.Filter):
    """Limits the rate of the loggers ``THROTTLED``. Any thread may log.

    Bound: ``LINES`` in ``PERIOD_S`` from one place of the code. Policy: further lines are dropped,
    and the last one says so.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Count by ``now``, a monotonic clock."""
        super().__init__()
        self._now = now
        self._lock = threading.Lock()
        self._began_s = now()
        self._counts: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether ``record`` is written."""
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
    """Log our own lines from ``level`` on, and warnings of other packages."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("jarvis_backend").setLevel(level.upper())
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, LogThrottle) for one in handler.filters):
            handler.addFilter(LogThrottle())
