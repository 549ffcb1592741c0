"""Speech-to-text by pocketsphinx, whose package contains a model."""

import asyncio
import importlib.util
import os
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines import sphinx_child
from jarvis_backend.engines.sphinx_pool import NAME, SphinxPool, SphinxProcess
from jarvis_backend.errors import EngineError, EngineMissing

MAX_PROCESSES: Final = 4
"""Default limit: at 125 MB each, half of the memory of the service."""


class SphinxSpeechToText:
    """Decodes with pocketsphinx in child processes. Lives on the loop.

    A pool of them decodes complete utterances. One more process decodes speech while it is spoken,
    so that partial transcripts never delay answers. Bound: ``stt.listeners`` speakers at a time.
    Policy: one more is refused. Counter: ``refused``.
    """

    name = NAME

    def __init__(self, options: SpeechToTextOptions) -> None:
        if importlib.util.find_spec("pocketsphinx") is None:
            raise EngineMissing(
                "the Python package pocketsphinx is not installed (pip install pocketsphinx)"
            )
        self._pool = SphinxPool(
            sphinx_child.__name__,
            options.processes or default_processes(),
            options.waiting,
            options.timeout_s,
        )
        self._live = SphinxProcess(options.timeout_s, sphinx_child.__name__, "live")
        self._free_slots = list(range(options.listeners))
        self.refused = 0

    async def prepare(self) -> None:
        """Start one process and load its model, which takes about a second."""
        await self._pool.prepare()

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Decode ``pcm`` in a process. Raises EngineBusy if that would take too long."""
        return await self._pool.transcribe(pcm)

    def listen(self) -> "SphinxListening":
        """Reserve a live decoder. Raises EngineError if all are in use."""
        if not self._free_slots:
            self.refused += 1
            raise EngineError(f"{self.name} already listens to as many people as it can")
        return SphinxListening(self._live, self._free_slots)

    async def aclose(self) -> None:
        """Kill the processes."""
        await self._pool.aclose()
        await self._live.aclose()


def default_processes() -> int:
    """Return one for each CPU that this process may use, up to ``MAX_PROCESSES``."""
    return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)


class SphinxListening:
    """One utterance, decoded while it is spoken. Lives on the loop; for one owner."""

    def __init__(self, process: SphinxProcess, free_slots: list[int]) -> None:
        """Take a slot from ``free_slots``; ``aclose`` puts it back."""
        self._process = process
        self._free_slots = free_slots
        self._slot = free_slots.pop()
        self._command = sphinx_child.BEGIN

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """Decode the sound that follows; return the transcript so far.

        Cancelling does not stop the decoder, because the process serves other speakers, too.
        """
        header = bytes((self._slot, self._command))
        self._command = sphinx_child.CONTINUE
        task = asyncio.create_task(self._process.ask(header + pcm.astype("<i2").tobytes()))
        task.add_done_callback(_retrieve_exception)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Release the decoder."""
        self._free_slots.append(self._slot)


def _retrieve_exception(task: asyncio.Task[str]) -> None:
    if not task.cancelled():
        task.exception()
