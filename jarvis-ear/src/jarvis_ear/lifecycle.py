"""Lifecycle: when the program ends and with which error, and how its parts stop."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, Final, Self, TypeVar

from jarvis_ear.errors import JarvisEarError

_LOGGER = logging.getLogger(__name__)

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
