"""The realtime stream: transcripts while a person speaks, then the answer, sentence by sentence."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, assert_never

from fastapi import APIRouter
from starlette.websockets import WebSocket

from jarvis_backend.config import Limits
from jarvis_backend.conversation import (
    AnswerText,
    BrainAsked,
    Conversation,
    ReplyMessage,
    Spoken,
    TranscriptReady,
    TurnDone,
)
from jarvis_backend.endpoints.socket import SocketDoor, WireSocket
from jarvis_backend.endpoints.speaking import Speaking, in_order
from jarvis_backend.errors import EngineError, UtteranceError
from jarvis_backend.text import one_line
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import WavError, decode_wav, pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wires import realtime as wire
from jarvis_ear.wires.json_fields import RemoteProtocolError
from jarvis_ear.wires.realtime import Code, RealtimeState

_LOG: Final = logging.getLogger(__name__)

SLICE_S: Final = 10.0
"""Longest slice that is taken; clients send a tenth to a fifth of a second."""


def realtime_routes(
    door: SocketDoor,
    path: str,
    conversation: Conversation,
    limits: Limits,
    now: Callable[[], float],
) -> APIRouter:
    """Routes of the realtime stream at ``path``. ``now`` is a wall clock."""
    routes = APIRouter()

    @routes.websocket(path)
    async def realtime(socket: WebSocket) -> None:
        async def talk(line: WireSocket) -> None:
            await RealtimeStream(line, conversation, limits, now).run()

        await door.serve(socket, talk, login=True)

    return routes


class RealtimeStream:
    """One connection: hears in its own task, and says in others. Lives on the loop.

    It collects at most ``limits.recording_s`` of sound. A longer utterance is refused, once, and
    nothing of it up to its end is taken for one of its own.
    """

    def __init__(
        self,
        line: WireSocket,
        conversation: Conversation,
        limits: Limits,
        now: Callable[[], float],
    ) -> None:
        self._line = line
        self._conversation = conversation
        self._most_bytes = min(
            limits.recording_bytes, int(limits.recording_s * SAMPLE_RATE) * SAMPLE_BYTES
        )
        self._now = now
        self._pcm = bytearray()
        self._refused = False
        self._grown = asyncio.Event()
        self._state = RealtimeState.IDLE
        self._speaking = Speaking()
        self._partials = Speaking()

    async def run(self) -> None:
        """Serve until the peer leaves."""
        await self._enter(RealtimeState.RECORDING)
        await self._partials.begin(self._warm_up())
        try:
            while True:
                await self._take(await self._line.receive())
        finally:
            await self._partials.stop()
            await self._speaking.stop()

    async def _take(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            await self._hear(frame)
            return
        try:
            wire.check_end(frame)
        except RemoteProtocolError as error:
            await self._fail(Code.INVALID_CONTROL, str(error))
            return
        await self._end()

    async def _hear(self, frame: bytes) -> None:
        if self._refused:
            return
        try:
            sound = decode_wav(frame, max_seconds=SLICE_S)
        except WavError as error:
            await self._fail(Code.INVALID_AUDIO, f"the slice {error}")
            return
        pcm = resample(sound.mono(), sound.rate, SAMPLE_RATE).astype("<i2").tobytes()
        if len(self._pcm) + len(pcm) > self._most_bytes:
            await self._partials.stop()
            self._pcm.clear()
            self._refused = True
            await self._fail(Code.TOO_LONG, f"expected at most {self._most_bytes} bytes of sound")
            return
        if not self._pcm and pcm:
            await self._begin()
        self._pcm += pcm
        self._grown.set()

    async def _begin(self) -> None:
        """Record anew: who speaks again is not listening to the answer any more."""
        await self._speaking.stop()
        if self._state is not RealtimeState.RECORDING:
            await self._enter(RealtimeState.RECORDING)
        await self._partials.begin(self._say_partials())

    async def _end(self) -> None:
        if self._refused:
            self._refused = False
            return
        await self._partials.stop()
        pcm = bytes(self._pcm)
        self._pcm.clear()
        if not pcm:
            await self._fail(Code.EMPTY_STREAM, "expected sound before the end")
            return
        await self._enter(RealtimeState.TRANSCRIBING)
        await self._speaking.begin(self._turn(pcm))

    async def _warm_up(self) -> None:
        """Have the engine load what the first partial transcript would wait for."""
        async with aclosing(self._conversation.partials(_no_sound())) as partials:
            async for _ in partials:
                pass

    async def _say_partials(self) -> None:
        """Say what was understood so far, whenever that has changed."""
        async with (
            aclosing(self._fresh_sound()) as sound,
            aclosing(self._conversation.partials(sound)) as partials,
        ):
            async for text in partials:
                await self._say(wire.RealtimeTranscript(text, is_final=False))

    async def _fresh_sound(self) -> AsyncGenerator[bytes, None]:
        """Yield what has come since the last time: who is slow is given more at once."""
        taken = 0
        while True:
            await self._grown.wait()
            self._grown.clear()
            fresh = bytes(self._pcm[taken:])
            taken += len(fresh)
            yield fresh

    async def _turn(self, pcm: bytes) -> None:
        try:
            async with (
                aclosing(self._conversation.reply(pcm_to_wav(pcm))) as reply,
                aclosing(in_order(reply)) as messages,
            ):
                async for message in messages:
                    await self._carry(message)
        except UtteranceError as error:
            await self._fail(Code.NOT_UNDERSTOOD, str(error))
        except EngineError as error:
            _LOG.warning("turn failed: %s", one_line(str(error)))
            await self._fail(Code.ENGINE_FAILED, str(error))

    async def _carry(self, message: ReplyMessage) -> None:
        match message:
            case TranscriptReady(text):
                await self._say(wire.RealtimeTranscript(text, is_final=True))
            case BrainAsked():
                await self._enter(RealtimeState.RESPONDING)
            case AnswerText(text):
                await self._say(wire.Response(text))
            case Spoken(_, speech):
                head = wire.Audio(speech.content_type, len(speech.audio))
                await self._line.say(wire.encode(head, self._now()), speech.audio)
            case TurnDone():
                await self._enter(RealtimeState.IDLE)
            case _:
                assert_never(message)

    async def _enter(self, state: RealtimeState) -> None:
        self._state = state
        await self._say(wire.RealtimeStatus(state))

    async def _fail(self, code: Code, text: str) -> None:
        self._state = RealtimeState.ERROR
        await self._say(wire.RealtimeStatus(RealtimeState.ERROR, code, text))

    async def _say(self, message: wire.ToClient) -> None:
        await self._line.say(wire.encode(message, self._now()))


async def _no_sound() -> AsyncGenerator[bytes, None]:
    yield b""
