"""Process: inherited environment, core dumps, reload signal and concurrent stop."""

import ctypes
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, Final, Self, TypeVar

_LOGGER = logging.getLogger(__name__)

PR_SET_DUMPABLE: Final = 4
"""Only root can read a process that is not dumpable (prctl(2)): no debugger of our own user, no
core, and in /proc neither its memory nor its environment."""


def forbid_dumps() -> None:
    """Make this process readable by root only. Child programs do not inherit this."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


ADDRESS: Final = "NOTIFY_SOCKET"
"""Variable with the address of the service manager's socket."""

WATCHDOG: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
"""Variables with the watchdog's time-out, and the process that has to feed it."""

SECRETS: Final = ("JARVIS_PASSWORD", "CREDENTIALS_DIRECTORY")
"""Variables that only a process that logs in to the backend needs."""

OPTIONS: Final = "JARVIS_EAR_"
"""Prefix of the variables with the ear's options; some of them are secrets."""


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process, without variables meant only for us."""
    ours = (ADDRESS, *WATCHDOG, *SECRETS)
    return {
        name: value
        for name, value in environ.items()
        if name not in ours and not name.startswith(OPTIONS)
    }


TERMINAL: Final = "/dev/tty"
"""The controlling terminal of a process that has one."""


class ReloadSignal:
    """Records SIGHUP inside a ``with``. Owned by the main thread.

    In a program with a terminal, SIGHUP means that the terminal is closed, and still ends the
    program.
    """

    def __init__(self, on_signal: Callable[[], None] = lambda: None) -> None:
        self._on_signal = on_signal
        self._asked = False
        self._handler: object = None

    def take(self) -> bool:
        """Return whether the signal arrived since the last call."""
        asked, self._asked = self._asked, False
        return asked

    def __enter__(self) -> Self:
        if not _has_terminal():
            self._handler = signal.signal(signal.SIGHUP, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it may still arrive during the stop

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        self._on_signal()


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


PR_SET_NAME: Final = 15
"""From linux/prctl.h: the name of a thread, of at most 15 bytes."""


class NamedThread(threading.Thread):
    """A thread whose name the system knows too: ``top -H`` shows what it costs."""

    def run(self) -> None:
        """Run the target under the name."""
        ctypes.CDLL(None).prctl(PR_SET_NAME, self.name.removeprefix("jarvis-ear-").encode()[:15])
        super().run()


Part = TypeVar("Part")


@contextmanager
def timed(name: str, part: AbstractContextManager[Part]) -> Iterator[Part]:
    """Use a part while the block lasts, and log at DEBUG how long it took to stop."""
    stopped_at: float | None = None
    try:
        with part as started:
            try:
                yield started
            finally:
                stopped_at = time.monotonic()
    finally:
        if stopped_at is not None:
            took_ms = 1000 * (time.monotonic() - stopped_at)
            _LOGGER.debug("%s stopped in %.0f ms", name, took_ms)


class ConcurrentStop:
    """Stops independent parts concurrently, in the time of the slowest one.

    Owned by the main thread; each part is stopped in its own thread. After all have stopped, the
    first exception of a part is raised.
    """

    def __init__(self) -> None:
        self._parts: dict[str, AbstractContextManager[Any]] = {}
        self._errors: list[BaseException] = []

    def add(self, name: str, part: AbstractContextManager[Part]) -> Part:
        """Start a part, after those added before. ``name`` is for the log and the thread."""
        context = timed(name, part)
        started = context.__enter__()
        self._parts[name] = context
        return started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        threads = [
            threading.Thread(target=self._stop, args=(part,), name=f"stop {name}")
            for name, part in self._parts.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _stop(self, part: AbstractContextManager[Any]) -> None:
        try:
            part.__exit__(None, None, None)
        except BaseException as error:  # noqa: BLE001 - a bug: handed to the main thread
            self._errors.append(error)
