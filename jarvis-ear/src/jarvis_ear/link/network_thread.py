"""NetworkThread: an event loop in its own thread, and tasks that end together."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from jarvis_ear.process import NamedThread

_LOGGER = logging.getLogger(__name__)


class NetworkThread:
    """Runs one coroutine until ``stop``. Used once; any thread may start and stop it.

    An exception in the coroutine is a bug: it ends the thread and goes to ``threading.excepthook``.
    """

    def __init__(
        self,
        main: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
        name: str = "jarvis-ear-network",
    ) -> None:
        self._main = main
        self._loop: asyncio.AbstractEventLoop
        self._stop = asyncio.Event()
        self._thread = NamedThread(target=self._run, name=name, daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread has started and has not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call a function in the thread, unless it is ending."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call)

    def stop(self, within_s: float) -> bool:
        """Ask the coroutine to end, and return whether the thread ended within ``within_s``.

        Warns if it did not; with 0 it does not wait, and does not warn. Does not wait before the
        start, nor in the thread itself, which cannot join itself.
        """
        if not self.alive:
            self._stop.set()
            return True
        self.call_soon(self._stop.set)
        if threading.current_thread() is self._thread:
            return True
        self._thread.join(within_s)
        if self.alive and within_s:
            _LOGGER.warning("thread %s did not stop within %.1f s", self._thread.name, within_s)
        return not self.alive

    def _run(self) -> None:
        self._loop.set_exception_handler(_note)
        try:
            self._loop.run_until_complete(self._main(self._stop))
        finally:
            self._sweep()
            self._loop.close()

    def _sweep(self) -> None:
        """Cancel the tasks that a library left behind."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))


async def run_together(*work: Coroutine[Any, Any, object]) -> None:
    """Run all of ``work`` until the first of it ends; cancel the rest, and raise what it raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in ended:
        task.result()


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error inside a library by type only: its text may hold tokens and audio."""
    error = context.get("exception")
    _LOGGER.debug("error in the network loop: %s", type(error).__name__)
