"""Hangup: the signal by which a service is asked to read its configuration again."""

import os
import signal
from types import FrameType, TracebackType
from typing import Final, Self

TERMINAL: Final = "/dev/tty"
"""The terminal of whoever has one."""


class Hangup:
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
