"""Partial transcripts of engines that only transcribe complete recordings."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_ear.units import samples

Transcribe: TypeAlias = Callable[[npt.NDArray[np.int16]], Awaitable[str]]

STEP_SAMPLES: Final = samples(800)
"""New sound after which an utterance is decoded again."""

MAX_SAMPLES: Final = samples(10_000)
"""Of a longer utterance only the last 10 s are decoded, to keep up with the speech."""


class Redecoder:
    """Decodes unfinished utterances with one engine. Lives on the loop.

    It decodes only one at a time, because partial transcripts must not delay answers.
    """

    def __init__(self, transcribe: Transcribe) -> None:
        self._transcribe = transcribe
        self._running: set[asyncio.Future[str]] = set()

    def listen(self) -> "Redecoding":
        """Start an utterance."""
        return Redecoding(self)

    async def decode(self, pcm: npt.NDArray[np.int16]) -> str | None:
        """Return the transcript of ``pcm``; None if the engine is busy.

        Cancelling does not stop the engine, which might have to be restarted.
        """
        if self._running:
            return None
        task = asyncio.ensure_future(self._transcribe(pcm))
        self._running.add(task)
        task.add_done_callback(self._finish)
        return await asyncio.shield(task)

    def _finish(self, task: asyncio.Future[str]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, in case the caller was cancelled


class Redecoding:
    """One utterance, decoded repeatedly while it grows. Lives on the loop; for one owner."""

    def __init__(self, redecoder: Redecoder) -> None:
        self._redecoder = redecoder
        self._pcm = np.zeros(0, np.int16)
        self._new_samples = 0
        self._transcript = ""

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """Take the sound that follows; return the transcript so far. Raises EngineError."""
        self._pcm = np.concatenate([self._pcm, pcm])[-MAX_SAMPLES:]
        self._new_samples += len(pcm)
        if self._new_samples < STEP_SAMPLES:
            return self._transcript
        transcript = await self._redecoder.decode(self._pcm)
        if transcript is not None:
            self._new_samples = 0
            self._transcript = transcript
        return self._transcript

    async def aclose(self) -> None:
        """Do nothing."""
