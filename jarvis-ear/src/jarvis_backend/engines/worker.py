"""A thread for the work of an engine that blocks and must not run twice at a time."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from jarvis_backend.errors import EngineError

_T = TypeVar("_T")

QUEUE_JOBS: Final = 64
"""Far more than the limits on turns let through."""


class EngineThread:
    """Runs jobs one after another on a thread. ``run`` and ``close`` belong to the loop.

    Bound: ``QUEUE_JOBS`` besides the one that runs. Policy: one more is refused with an
    EngineError. Counter: ``refused``.
    """

    def __init__(self, name: str, timeout_s: float) -> None:
        """Name the thread ``name``; ``timeout_s`` is for the wait in the queue and the job."""
        self._name = name
        self._timeout_s = timeout_s
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._stops: set[threading.Event] = set()
        self.refused = 0

    async def run(self, work: Callable[[threading.Event], _T]) -> _T:
        """Run ``work`` on the thread and return its result.

        ``work`` takes an event that is set when its result is not needed any more. Raises
        EngineError if the result is late, and any exception of ``work``.
        """
        if len(self._stops) > QUEUE_JOBS:
            self.refused += 1
            raise EngineError(f"{self._name} is busy with {QUEUE_JOBS} jobs already")
        stop = threading.Event()
        self._stops.add(stop)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(self._executor.submit(work, stop))
        except TimeoutError:
            raise EngineError(f"{self._name} took more than {self._timeout_s:g} s") from None
        finally:
            stop.set()
            self._stops.discard(stop)

    def close(self) -> None:
        """Ask the current job to stop, drop the others, and end the thread. Returns at once."""
        for stop in self._stops:
            stop.set()
        self._executor.shutdown(wait=False, cancel_futures=True)
