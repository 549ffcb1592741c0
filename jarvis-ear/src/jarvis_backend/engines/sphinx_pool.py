"""Several processes that decode complete utterances, and the queue in front of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.engines.backlog import Backlog
from jarvis_backend.engines.sphinx_process import SphinxProcess, too_late
from jarvis_ear.units import seconds

IDLE_S: Final = 60.0
"""A process that nobody needed for so long is ended, and gives 125 MB back: a household that
speaks at once does so again in the same minute or not at all."""

FORESEEN: Final = 0.8
"""How much of the time-out somebody may be expected to need. Whoever is expected to need just all
of it would often run into it after all, and take a process along."""


class SphinxPool:
    """Decodes utterances, as many at once as there are processes. Lives on the loop.

    First come, first served. The first process is started by ``prepare`` and stays; each other one
    when it is needed, until nobody needed it for ``IDLE_S``. Whoever stops waiting in the queue
    leaves it, and whoever stops waiting later takes the process with them: its own, no other.
    Bound, policy and counter of the queue are those of ``backlog``.
    """

    def __init__(self, module: str, processes: int, most_waiting: int, timeout_s: float) -> None:
        """Run ``module``; ``timeout_s`` is for the wait in the queue and the work together."""
        self._processes = [SphinxProcess(module, timeout_s) for _ in range(processes)]
        self._free = list(range(processes))
        self._turn = asyncio.Semaphore(processes)
        self._timeout_s = timeout_s
        self._resting: dict[int, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.backlog = Backlog(processes, most_waiting, FORESEEN * timeout_s)

    async def prepare(self) -> None:
        """Start the first process and load its model: a second or so."""
        await self._processes[0].prepare()

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Have one of the processes decode ``pcm``. Raises ``EngineError``."""
        sound_s = seconds(len(pcm))
        self.backlog.enter(sound_s)
        try:
            async with asyncio.timeout(self._timeout_s), self._turn, self._taken() as process:
                await process.prepare()  # to load a model says nothing of the pace
                began = time.monotonic()
                text = await process.ask(pcm.astype("<i2").tobytes())
                self.backlog.took(time.monotonic() - began, sound_s)
                return text
        except TimeoutError:
            raise too_late(self._timeout_s) from None
        finally:
            self.backlog.leave(sound_s)

    async def aclose(self) -> None:
        """End the processes, whatever they are doing."""
        for rest in self._resting.values():
            rest.cancel()
        self._resting.clear()
        for process in self._processes:
            await process.aclose()
        if self._ending:
            await asyncio.wait(self._ending)

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[SphinxProcess]:
        """Take the first that is free: so the later ones come to rest."""
        number = min(self._free)
        self._free.remove(number)
        if (rest := self._resting.pop(number, None)) is not None:
            rest.cancel()
        try:
            yield self._processes[number]
        finally:
            self._free.append(number)
            if number > 0:
                loop = asyncio.get_running_loop()
                self._resting[number] = loop.call_later(IDLE_S, self._end, number)

    def _end(self, number: int) -> None:
        del self._resting[number]
        task = asyncio.create_task(self._processes[number].aclose())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
