"""Words while they are spoken, by engines that only know complete recordings."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_ear.units import samples

Transcribe: TypeAlias = Callable[[npt.NDArray[np.int16]], Awaitable[str]]

STEP_SAMPLES: Final = samples(800)
"""How much has to be said before the engine is asked again."""

MOST_SAMPLES: Final = samples(10_000)
"""Of longer speech only the last 10 s are decoded again: more could not be kept up with."""


class Redecoder:
    """Lets an engine decode unfinished utterances. One for each engine; lives on the loop.

    One guess at a time for everybody: guesses must not delay answers.
    """

    def __init__(self, transcribe: Transcribe) -> None:
        """Ask ``transcribe``."""
        self._transcribe = transcribe
        self._under_way: set[asyncio.Future[str]] = set()

    def listen(self) -> "Redecoding":
        """Begin with one utterance."""
        return Redecoding(self)

    async def guess(self, pcm: npt.NDArray[np.int16]) -> str | None:
        """Decode ``pcm``; None if that has to wait.

        One that nobody waits for any more is completed, because an engine that is stopped in the
        middle may have to be started anew.
        """
        if self._under_way:
            return None
        task = asyncio.ensure_future(self._transcribe(pcm))
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Future[str]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever waits for it handles it


class Redecoding:
    """One utterance, decoded again and again while it grows. Lives on the loop; for one owner."""

    def __init__(self, redecoder: Redecoder) -> None:
        self._redecoder = redecoder
        self._pcm = np.zeros(0, np.int16)
        self._fresh = 0
        self._said = ""

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """Take ``pcm``, which follows what was fed before; return what was understood so far."""
        self._pcm = np.concatenate([self._pcm, pcm])[-MOST_SAMPLES:]
        self._fresh += len(pcm)
        if self._fresh < STEP_SAMPLES:
            return self._said
        guess = await self._redecoder.guess(self._pcm)
        if guess is not None:
            self._fresh = 0
            self._said = guess
        return self._said

    async def aclose(self) -> None:
        """Nothing is held."""
