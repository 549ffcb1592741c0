"""A thread for the work of an engine that blocks and must not run twice at a time."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from jarvis_backend.errors import EngineError

_T = TypeVar("_T")

QUEUE_JOBS: Final = 64
"""Far more than the limits on turns let through."""

_STOP_S: Final = 0.5
"""Seconds to wait for the thread; a job that does not check its event in time ends with the
process."""


class EngineThread:
    """Runs jobs one after another on a daemon thread. ``run`` belongs to the loop.

    Bound: ``QUEUE_JOBS``. Policy: one more is refused with an EngineError. Counter: ``refused``.
    The thread starts with the first job and ends with ``close``.
    """

    def __init__(self, name: str, timeout_s: float) -> None:
        """Name the thread ``name``; ``timeout_s`` is for the wait in the queue and the job."""
        self._name = name
        self._timeout_s = timeout_s
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_JOBS)
        self._thread: threading.Thread | None = None
        self._running: set[threading.Event] = set()
        self.refused = 0

    async def run(self, work: Callable[[threading.Event], _T]) -> _T:
        """Run ``work`` on the thread and return its result.

        ``work`` takes an event that is set when its result is not needed any more. Raises
        EngineError if the result is late, and any exception of ``work``.
        """
        stop, result = threading.Event(), Future[_T]()
        self._submit(lambda: _settle(result, work, stop))
        self._running.add(stop)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(result)
        except TimeoutError:
            raise EngineError(f"{self._name} took more than {self._timeout_s:g} s") from None
        finally:
            stop.set()
            self._running.discard(stop)

    def close(self) -> None:
        """Stop the current job and the thread; returns within half a second."""
        for stop in self._running:
            stop.set()
        if self._thread is None:
            return
        self._jobs.put(None)
        self._thread.join(_STOP_S)
        self._thread = None

    def _submit(self, job: Callable[[], None]) -> None:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.refused += 1
            raise EngineError(f"{self._name} is busy with {QUEUE_JOBS} jobs already") from None
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(
    result: Future[Any], work: Callable[[threading.Event], Any], stop: threading.Event
) -> None:
    if not result.set_running_or_notify_cancel():
        return
    try:
        result.set_result(work(stop))
    except BaseException as error:  # noqa: BLE001 - run() raises it
        result.set_exception(error)
