"""Partial transcripts of engines that only transcribe complete recordings."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_backend.engines.engine import StatelessEngine
from jarvis_ear.units import samples

Transcribe: TypeAlias = Callable[[npt.NDArray[np.int16]], Awaitable[str]]

STEP_SAMPLES: Final = samples(800)
"""New sound after which an utterance is decoded again."""

MAX_SAMPLES: Final = samples(10_000)
"""Of a longer utterance only the last 10 s are decoded, to keep up with the speech."""

SHARE: Final = 0.5
"""Maximum share of the time that an engine spends on partial transcripts, of all utterances
together: what it decodes in one second is followed by a second for the answers."""


class Redecoding(StatelessEngine):
    """One utterance, decoded repeatedly while it grows. Lives on the loop; for one owner."""

    def __init__(self, transcribe: Transcribe, busy: asyncio.Lock) -> None:
        """Share ``busy`` with the other utterances of an engine, which decodes one at a time.

        Partial transcripts must not delay answers: ``busy`` is held for as long as decoding took,
        and after it for the part of the time that ``SHARE`` leaves to others.
        """
        self._transcribe = transcribe
        self._busy = busy
        self._pcm = np.zeros(0, np.int16)
        self._new_samples = 0
        self._transcript = ""

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """Take the sound that follows; return the transcript so far. Raises EngineError.

        Cancelling does not stop the engine, which might have to be restarted.
        """
        self._pcm = np.concatenate([self._pcm, pcm])[-MAX_SAMPLES:]
        self._new_samples += len(pcm)
        if self._new_samples < STEP_SAMPLES or self._busy.locked():
            return self._transcript
        await self._busy.acquire()
        began = asyncio.get_running_loop().time()
        task = asyncio.ensure_future(self._transcribe(self._pcm))
        task.add_done_callback(lambda done: self._on_done(done, began))
        self._transcript = await asyncio.shield(task)
        self._new_samples = 0
        return self._transcript

    def _on_done(self, task: asyncio.Future[str], began: float) -> None:
        loop = asyncio.get_running_loop()
        took_s = loop.time() - began
        loop.call_later(took_s * (1 / SHARE - 1), self._busy.release)
        if not task.cancelled():
            task.exception()  # retrieved, in case the caller was cancelled
