"""The turn of a streaming connection: its task, and the pace at which its speech is sent."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from jarvis_backend.conversation import Conversation, SendReply
from jarvis_backend.endpoints.websocket import PeerGone
from jarvis_backend.engines.engine import Speech
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import WavError, decode_wav, pcm_to_wav
from jarvis_ear.units import SAMPLE_RATE, seconds

_LOG: Final = logging.getLogger(__name__)

AHEAD_S: Final = 0.2
"""Seconds by which speech is sent before it is heard: enough for the jitter of a network, and short
enough for an interruption."""

SENTENCE_S: Final = 120.0
"""Maximum length of the speech of one sentence; a longer one is a fault of the engine."""


class TurnTask:
    """Runs the one turn of a connection; a new turn cancels the previous one. Lives on the loop."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.room = f"connection-{secrets.token_hex(8)}"
        """Name of the connection for the brain; these wires name no satellite."""
        self._task: asyncio.Task[None] | None = None

    async def start(self, pcm: bytes, send: SendReply) -> None:
        """Cancel the running turn, and answer ``pcm`` (PCM16, 16 kHz) in a task."""
        await self.run(
            self._conversation.reply(pcm_to_wav(pcm), send, in_order=True, room=self.room)
        )

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Cancel the running work, and run ``work`` in a task."""
        await self.cancel()
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(_on_end)

    async def cancel(self) -> bool:
        """Cancel the running work and wait for its end; return whether there was any."""
        task, self._task = self._task, None
        if task is None or task.done():
            return False
        task.cancel()
        await asyncio.wait({task})
        return True


def _on_end(task: asyncio.Task[None]) -> None:
    """Report an unexpected exception to the loop. The peer may leave before the reply ends."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, PeerGone):
        raise error


class Pacer:
    """Sends speech as PCM16 (16 kHz) at the pace at which it is heard. Serves one turn."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]], piece_bytes: int) -> None:
        """Send by ``send``, at most ``piece_bytes`` at a time."""
        self._send = send
        self._piece_bytes = piece_bytes
        self._heard_at = 0.0

    async def play(self, speech: Speech) -> None:
        """Send ``speech``; return when at most ``AHEAD_S`` of it is still to be heard."""
        pcm = await asyncio.to_thread(pcm_of, speech)
        clock = asyncio.get_running_loop().time
        for at in range(0, len(pcm), self._piece_bytes):
            piece = pcm[at : at + self._piece_bytes]
            await self._send(piece)
            self._heard_at = max(self._heard_at, clock()) + seconds(len(piece) // 2)
            await asyncio.sleep(self._heard_at - clock() - AHEAD_S)


def pcm_of(speech: Speech) -> bytes:
    """Return ``speech`` as PCM16 at 16 kHz; empty if it is not a WAV file."""
    try:
        sound = decode_wav(speech.audio, max_seconds=SENTENCE_S)
    except WavError as error:
        _LOG.warning("a sentence is left out: its speech (%s) %s", speech.content_type, error)
        return b""
    return resample(sound.mono(), sound.rate, SAMPLE_RATE).astype("<i2").tobytes()
