"""Speech-to-text by pocketsphinx: the model comes with the package, nothing else is needed."""

import asyncio
import importlib.util
import os
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines import sphinx_child, sphinx_live_child
from jarvis_backend.engines.sphinx_pool import NAME, SphinxPool, SphinxProcess
from jarvis_backend.errors import EngineError, EngineMissing

MOST_PROCESSES: Final = 4
"""Started for one household unless the owner wants more: 125 MB each, half of the service's memory
together."""


class SphinxSpeechToText:
    """Understands by pocketsphinx, in processes of its own. Lives on the loop.

    A pool of them decodes complete utterances. One more listens to people who still speak, so that
    guesses never delay answers. Bound: ``stt.listeners`` people at once. Policy: one more is
    refused. Counter: ``refused``.
    """

    name = NAME

    def __init__(self, options: SpeechToTextOptions) -> None:
        if importlib.util.find_spec("pocketsphinx") is None:
            raise EngineMissing(
                "the Python package pocketsphinx is not installed (pip install pocketsphinx)"
            )
        self._whole = SphinxPool(
            sphinx_child.__name__,
            options.processes or usual_processes(),
            options.waiting,
            options.timeout_s,
        )
        self._live = SphinxProcess(sphinx_live_child.__name__, options.timeout_s)
        self._free = list(range(options.listeners))
        self.refused = 0

    async def prepare(self) -> None:
        """Start one process and load its model: a second or so. The others can wait."""
        await self._whole.prepare()

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Have a process decode ``pcm``; ``EngineBusy`` at once if it could not be in time."""
        return await self._whole.transcribe(pcm)

    def listen(self) -> "SphinxListening":
        """Give somebody who begins to speak a decoder of their own."""
        if not self._free:
            self.refused += 1
            raise EngineError(f"{self.name} listens to as many people as it can already")
        return SphinxListening(self._live, self._free)

    async def aclose(self) -> None:
        """End the processes, whatever they are doing."""
        await self._whole.aclose()
        await self._live.aclose()


def usual_processes() -> int:
    """Return how many processes decode unless the owner says: one for each CPU we may use."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


class SphinxListening:
    """One utterance, decoded while it is spoken. Lives on the loop; for one owner."""

    def __init__(self, process: SphinxProcess, free: list[int]) -> None:
        """Take a decoder out of ``free``, and put it back when closed."""
        self._process = process
        self._free = free
        self._slot = free.pop()
        self._order = sphinx_live_child.BEGIN

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """Decode ``pcm``, which follows what was fed before.

        It is completed even if nobody waits for it any more: a process that is stopped in the
        middle has to be started anew, for everybody.
        """
        head = bytes((self._slot, self._order))
        self._order = sphinx_live_child.GO_ON
        task = asyncio.create_task(self._process.ask(head + pcm.astype("<i2").tobytes()))
        task.add_done_callback(_see)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Give the decoder back; its next owner begins anew."""
        self._free.append(self._slot)


def _see(task: asyncio.Task[str]) -> None:
    if not task.cancelled():
        task.exception()  # whoever still waits for it handles it
