"""StopSignal: when the program ends, and with which error."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, Self

from jarvis_ear.errors import JarvisEarError

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Waits for the end of the program. Created and awaited by the main thread.

    An unhandled exception in any thread ends the program too. The first signal ends it in order,
    the second at once. Any thread may call ``finish`` and ``fail``; the first call counts.
    ``on_signal`` is called at the first signal, between any two bytecodes of the main thread.
    """

    def __init__(self, on_signal: Callable[[], None] = lambda: None) -> None:
        self._on_first_signal = on_signal
        self._over = threading.Event()
        self._woken = threading.Event()
        self._error: BaseException | None = None
        self._handlers: list[tuple[signal.Signals, object]] = []

    def finish(self, error: JarvisEarError | None = None) -> None:
        """End the program because its work is done; ``error`` says what did not succeed."""
        if error is None:
            self._end()
        else:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the program with ``error``."""
        if not self._over.is_set():
            self._error = error
            self._end()

    def wake(self) -> None:
        """Let ``wait`` return before its time-out: there is something to do. Any thread."""
        self._woken.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end, and return False after the time-out or a call of ``wake``.

        Raises the error of ``fail``.
        """
        self._woken.wait(timeout_s)
        self._woken.clear()
        if not self._over.is_set():
            return False
        if self._error is not None:
            raise self._error
        return True

    def __enter__(self) -> Self:
        self._excepthook = threading.excepthook
        threading.excepthook = self._on_thread_failure
        self._handlers = [(number, signal.signal(number, self._on_signal)) for number in SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        threading.excepthook = self._excepthook
        for number, handler in self._handlers:
            signal.signal(number, handler)  # type: ignore[arg-type]  # as returned by signal()

    def _end(self) -> None:
        self._over.set()
        self._woken.set()

    def _on_thread_failure(self, failure: threading.ExceptHookArgs) -> None:
        """End the program with the exception of a thread: it must not run on while deaf."""
        self.fail(failure.exc_value or failure.exc_type())

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._over.is_set():
            os._exit(128 + number)
        self._end()
        self._on_first_signal()
