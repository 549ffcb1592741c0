"""Process: core dumps, inherited environment, reload signal and named threads."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Final, Self

PR_SET_DUMPABLE: Final = 4
"""Only root can read a process that is not dumpable (prctl(2)): no debugger of our own user, no
core, and in /proc neither its memory nor its environment."""


def forbid_dumps() -> None:
    """Make this process readable by root only. Child programs do not inherit this."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


M_MMAP_THRESHOLD: Final = -3
"""Parameters of mallopt(3): the size from which an allocation has its own pages..."""
M_ARENA_MAX: Final = -8
"""...and the number of heaps, by default one or more for each core."""

START_PAGES: Final = 64 * 1024
"""Size during a start, in bytes, which allocates and frees many large objects: what is freed does
not stay in the heap, below what is kept."""

RUN_PAGES: Final = 4 * 1024 * 1024
"""Size afterwards: allocations of every step of a model come from the heap, which is faster."""


def save_memory(*, at_start: bool) -> None:
    """Set how much freed memory the C library keeps; after the start, return the rest.

    Saves 4 MiB of the ear. ``at_start``: before the first large import.
    """
    libc = ctypes.CDLL(None)
    libc.mallopt(M_ARENA_MAX, 1)
    libc.mallopt(M_MMAP_THRESHOLD, START_PAGES if at_start else RUN_PAGES)
    libc.malloc_trim(0)


ADDRESS: Final = "NOTIFY_SOCKET"
"""Variable with the address of the service manager's socket."""

WATCHDOG: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
"""Variables with the watchdog's time-out, and the process that has to feed it."""

MANAGED: Final = ("SYSTEMD_EXEC_PID", "MANAGERPID")
"""Variables with the process that systemd has started as a service, from version 248 on, and with
the service manager, if it is that of a user."""

SECRETS: Final = ("JARVIS_PASSWORD", "CREDENTIALS_DIRECTORY")
"""Variables that only a process that logs in to the backend needs."""

OPTIONS: Final = "JARVIS_EAR_"
"""Prefix of the variables with the ear's options; some of them are secrets."""


def systemctl(environ: Mapping[str, str]) -> str:
    """Return the command for the service that this process is; empty: it is none."""
    process, manager = (environ.get(name) for name in MANAGED)
    if process != str(os.getpid()):
        return ""
    return "systemctl" if manager is None else "systemctl --user"


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

    def ask(self) -> None:
        """Ask for a reload, as the signal does. Any thread may call it."""
        self._asked = True
        self._on_signal()

    def take(self) -> bool:
        """Return whether the signal arrived, or was asked for, since the last call."""
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
        self.ask()


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

    def end(self, within_s: float) -> bool:
        """Join the thread if it was started; return whether it does not run any longer."""
        if self.ident is not None:
            self.join(within_s)
        return not self.is_alive()
