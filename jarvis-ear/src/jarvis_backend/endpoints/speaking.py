"""What wires of bare PCM16 share: sentences in order, speech no faster than it is heard."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, Final

from jarvis_backend.conversation import Done, ReplyMessage, Spoken
from jarvis_backend.endpoints.socket import Gone
from jarvis_backend.engines.engine import Speech
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.units import FRAME_BYTES, SAMPLE_RATE, seconds

_LOG: Final = logging.getLogger(__name__)

AHEAD_S: Final = 0.2
"""How far speech is sent before it is heard: enough for a network, little for an interruption."""

SENTENCE_S: Final = 120.0
"""Longer speech for one sentence is a fault of its engine."""


class Speaking:
    """The one turn of a connection; a new one ends the one before. Lives on the loop."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._work: Coroutine[Any, Any, None] | None = None

    async def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` from now on."""
        await self.stop()
        self._work = work
        self._task = asyncio.create_task(_guarded(work))
        self._task.add_done_callback(lambda _: work.close())  # stopped before its first step

    async def stop(self) -> bool:
        """End what is under way; nothing of it is sent after this. Say whether there was any."""
        task, self._task = self._task, None
        if task is None or task.done():
            return False
        task.cancel()
        await asyncio.wait({task})
        if self._work is not None:
            self._work.close()  # it may not even have begun
        return True


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Gone:
        _LOG.debug("the peer left before its answer was complete")


async def in_order(
    messages: AsyncGenerator[ReplyMessage, None],
) -> AsyncGenerator[ReplyMessage, None]:
    """Pass ``messages`` on, sentences in their order; those behind a gap come before Done."""
    waiting: dict[int, Spoken] = {}
    following = 0
    async for message in messages:
        if isinstance(message, Spoken):
            waiting[message.index] = message
            while following in waiting:
                yield waiting.pop(following)
                following += 1
            continue
        if isinstance(message, Done):
            for index in sorted(waiting):
                yield waiting[index]
        yield message


async def pcm_of(speech: Speech) -> bytes:
    """Return ``speech`` as PCM16 at 16 kHz; empty if it is no WAV file."""
    return await asyncio.to_thread(_pcm_of, speech)


def _pcm_of(speech: Speech) -> bytes:
    try:
        sound = decode_wav(speech.audio, max_seconds=SENTENCE_S)
    except WavError as error:
        _LOG.warning("a sentence is left out: its speech (%s) %s", speech.content_type, error)
        return b""
    return resample(sound.mono(), sound.rate, SAMPLE_RATE).astype("<i2").tobytes()


class Pacer:
    """Sends PCM16 as fast as it is heard, ``AHEAD_S`` before. For the turn it was made for."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]], chunk_bytes: int) -> None:
        """Send by ``send``, at most ``chunk_bytes`` at a time."""
        self._send = send
        self._chunk_bytes = chunk_bytes
        self._heard_at = 0.0

    async def play(self, pcm: bytes) -> None:
        """Send ``pcm``, and return when no more than ``AHEAD_S`` of it is still to be heard."""
        clock = asyncio.get_running_loop().time
        for at in range(0, len(pcm), self._chunk_bytes):
            chunk = pcm[at : at + self._chunk_bytes]
            await self._send(chunk)
            self._heard_at = max(self._heard_at, clock()) + seconds(len(chunk) // 2)
            await asyncio.sleep(self._heard_at - clock() - AHEAD_S)


SLICE_BYTES: Final = 2 * FRAME_BYTES
"""40 ms: short enough to be cut off in, long enough to cost little."""
