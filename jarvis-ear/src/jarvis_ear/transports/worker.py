"""Worker: a thread for one piece of work that blocks."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

_LAST_BREATH_S = 0.5
"""From the outcome of the work to the end of its thread: a few instructions."""


class Worker(Generic[T]):
    """Runs one piece of work in a daemon thread. Any thread may ask for the outcome.

    Not an executor, whose threads are waited for when the process ends: a resolver of names that
    hangs must not keep it from ending.
    """

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._work = work
        self._outcome: Future[T] = Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def busy(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def start(self) -> "asyncio.Future[T]":
        """Start the work, and return its outcome to come."""
        self._outcome.set_running_or_notify_cancel()
        self._thread.start()
        return asyncio.wrap_future(self._outcome)

    def settle(self) -> None:
        """See the thread off, if its work is done."""
        if self._outcome.done():
            self._thread.join(_LAST_BREATH_S)

    def _run(self) -> None:
        try:
            self._outcome.set_result(self._work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, whatever it is
            self._outcome.set_exception(error)
