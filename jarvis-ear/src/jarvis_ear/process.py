"""Process: inherited environment, core dumps, reload signal, and stopping parts concurrently."""

import ctypes
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Final, Generic, Self, TypeVar

_LOGGER = logging.getLogger(__name__)

PR_SET_DUMPABLE: Final = 4
"""A process that may not be dumped is read by root only (prctl(2)): no debugger of our own user, no
core, and in /proc neither its memory nor its environment."""


def forbid_dumps() -> None:
    """Let only root look into this process. Programs that it starts have to ask for themselves."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


ADDRESS: Final = "NOTIFY_SOCKET"
"""Where the service manager listens to us."""

WATCHDOG: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
"""How often the service manager wants to hear that all is well, and from whom."""

SECRETS: Final = ("JARVIS_PASSWORD", "CREDENTIALS_DIRECTORY")
"""What nobody needs who does not log in to the backend."""

OPTIONS: Final = "JARVIS_EAR_"
"""What the options of the ear begin with; some of them are secrets."""


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what is meant for us alone."""
    ours = (ADDRESS, *WATCHDOG, *SECRETS)
    return {
        name: value
        for name, value in environ.items()
        if name not in ours and not name.startswith(OPTIONS)
    }


TERMINAL: Final = "/dev/tty"
"""The terminal of whoever has one."""


class ReloadSignal:
    """Notes SIGHUP inside a ``with``. Owned by the main thread.

    For a program on a terminal the signal means that the terminal is gone: there it goes on to end
    the program.
    """

    def __init__(self) -> None:
        self._asked = False
        self._handler: object = None

    def take(self) -> bool:
        """Return whether it came since the last call."""
        asked, self._asked = self._asked, False
        return asked

    def __enter__(self) -> Self:
        if not _has_terminal():
            self._handler = signal.signal(signal.SIGHUP, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it may still come, and means nothing now

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


Part = TypeVar("Part")


class Timed(Generic[Part]):
    """A part that says at DEBUG how long it took to stop. Owned by whoever starts and stops it."""

    def __init__(self, name: str, part: AbstractContextManager[Part]) -> None:
        self.name = name
        """For the log, and for the thread that stops it."""
        self._part = part

    def __enter__(self) -> Part:
        return self._part.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        began = time.monotonic()
        try:
            self._part.__exit__(kind, error, trace)
        finally:
            _LOGGER.debug("%s stopped in %.0f ms", self.name, 1000 * (time.monotonic() - began))


class ConcurrentStop:
    """Parts that do not need one another to stop: that takes as long as the slowest of them.

    Owned by the main thread; each part is stopped in a thread of its own. What a part raises is
    raised when all of them are over; the first part counts.
    """

    def __init__(self) -> None:
        self._parts: list[Timed[Any]] = []
        self._errors: list[BaseException] = []

    def add(self, name: str, part: AbstractContextManager[Part]) -> Part:
        """Start a part, after those that are here already."""
        timed = Timed(name, part)
        started = timed.__enter__()
        self._parts.append(timed)
        return started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        threads = [
            threading.Thread(
                target=self._stop, args=(part, kind, error, trace), name=f"stop {part.name}"
            )
            for part in self._parts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _stop(
        self,
        part: Timed[Any],
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            part.__exit__(kind, error, trace)
        except BaseException as trouble:  # noqa: BLE001 - a bug: handed to the main thread
            self._errors.append(trouble)
