"""Worker: one thread for work that would block the loop and must not run twice at once."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from jarvis_backend.errors import EngineError

_T = TypeVar("_T")

QUEUE_JOBS: Final = 64
"""Far more than the limits on turns let through; whoever is above it is refused."""

_STOP_S: Final = 0.5
"""A job looks at its ``stop`` every tenth of a second or so; one that cannot dies with us."""


class EngineThread:
    """Runs jobs one after another on its own daemon thread. ``run`` belongs to the loop.

    Queue: at most 64 jobs; one more is refused with an EngineError and counted in ``refused``.
    The thread starts with the first job and ends with ``close``.
    """

    def __init__(self, name: str, timeout_s: float) -> None:
        """Name the thread ``name``; a job may take ``timeout_s``, with the wait for its turn."""
        self._name = name
        self._timeout_s = timeout_s
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_JOBS)
        self._thread: threading.Thread | None = None
        self._running: set[threading.Event] = set()
        self.refused = 0

    async def run(self, work: Callable[[threading.Event], _T]) -> _T:
        """Run ``work`` on the thread and return its result.

        ``work`` is given an event that is set when nobody waits for the result any more. Raises
        EngineError if the result is late, and whatever ``work`` raises.
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
        """Stop the job under way and the thread; returns within half a second."""
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
    except BaseException as error:  # noqa: BLE001 - whoever awaits the result gets it
        result.set_exception(error)
