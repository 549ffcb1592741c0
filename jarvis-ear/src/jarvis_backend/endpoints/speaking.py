"""Speaking and pauses: what the bare WebSocket wires have in common."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final

import webrtcvad

from jarvis_backend.conversation import ReplyMessage, Spoken, TurnDone
from jarvis_backend.endpoints.socket import PeerGone
from jarvis_backend.engines.engine import Speech
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.units import FRAME_BYTES, SAMPLE_RATE, frames, seconds

ONSET_FRAMES: Final = frames(100)
"""Speech in a row before somebody is believed to talk: shorter is a click."""

HANGOVER_FRAMES: Final = frames(800)
"""Silence that ends an utterance, as in the ear."""

PRE_ROLL_FRAMES: Final = frames(400)
"""Kept from before the onset, with the onset itself: soft first letters."""

AGGRESSIVENESS: Final = 2
"""Of 0 to 3, as in the ear."""


class Pauses:
    """Cuts PCM16 at 16 kHz into utterances, however it is delivered. Lives on the loop.

    Bound: ``most_s`` seconds, where an utterance is cut and given out. What follows until the next
    pause is left out: it is no sentence of its own.
    """

    def __init__(self, most_s: float) -> None:
        self._gate = webrtcvad.Vad(AGGRESSIVENESS)
        self._most_bytes = frames(int(most_s * 1000)) * FRAME_BYTES
        self._partial = b""
        self._before: deque[bytes] = deque(maxlen=PRE_ROLL_FRAMES)
        self._utterance = bytearray()
        self._speech = 0
        self._silence = 0
        self._is_rest = False

    def hear(self, pcm: bytes) -> Iterator[bytes]:
        """Take ``pcm``; return the utterances that are complete with it."""
        data = self._partial + pcm
        whole = len(data) - len(data) % FRAME_BYTES
        self._partial = data[whole:]
        for at in range(0, whole, FRAME_BYTES):
            utterance = self._hear(data[at : at + FRAME_BYTES])
            if utterance:
                yield utterance

    def rest(self) -> bytes:
        """Return the utterance that is under way, and begin anew; empty if there is none."""
        utterance = bytes(self._utterance)
        self._utterance.clear()
        self._before.clear()
        self._speech = self._silence = 0
        self._is_rest = False
        return utterance

    def _hear(self, frame: bytes) -> bytes:
        is_speech = self._gate.is_speech(frame, SAMPLE_RATE)
        if self._is_rest:
            self._silence = 0 if is_speech else self._silence + 1
            self._is_rest = self._silence < HANGOVER_FRAMES
            return b""
        if not self._utterance:
            self._wait(frame, is_speech=is_speech)
            return b""
        self._utterance += frame
        self._silence = 0 if is_speech else self._silence + 1
        is_over, is_full = (
            self._silence >= HANGOVER_FRAMES,
            len(self._utterance) >= self._most_bytes,
        )
        if not is_over and not is_full:
            return b""
        utterance = self.rest()
        self._is_rest = not is_over
        return utterance

    def _wait(self, frame: bytes, *, is_speech: bool) -> None:
        self._before.append(frame)
        self._speech = self._speech + 1 if is_speech else 0
        if self._speech >= ONSET_FRAMES:
            self._utterance += b"".join(self._before)


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
    except PeerGone:
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
        if isinstance(message, TurnDone):
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
