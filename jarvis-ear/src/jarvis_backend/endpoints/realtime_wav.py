"""The realtime stream: transcripts while a person speaks, then the answer sentence by sentence."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, assert_never

from fastapi import APIRouter

from jarvis_backend.config import Limits
from jarvis_backend.conversation import (
    AnswerText,
    BrainAsked,
    Conversation,
    ReplyFailed,
    ReplyMessage,
    Spoken,
    TranscriptReady,
    TurnDone,
)
from jarvis_backend.endpoints.turns import TurnTask
from jarvis_backend.endpoints.websocket import WebSocketRoute, WireSocket
from jarvis_backend.errors import UtteranceError
from jarvis_backend.recordings import UtteranceBuffer
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.units import SAMPLE_RATE
from jarvis_ear.wires import realtime as wire
from jarvis_ear.wires.json_fields import RemoteProtocolError
from jarvis_ear.wires.realtime import Code, RealtimeState

SLICE_S: Final = 10.0
"""Maximum length of a slice; clients send 0.1 to 0.2 s."""


def realtime_routes(
    route: WebSocketRoute,
    path: str,
    conversation: Conversation,
    limits: Limits,
    now: Callable[[], float],
) -> APIRouter:
    """Return the route of the realtime stream at ``path``. ``now`` is a wall clock."""
    return route.router(
        path, lambda socket: RealtimeStream(socket, conversation, limits, now).run(), login=True
    )


class RealtimeStream:
    """One connection. Receives in its own task and sends in others. Lives on the loop."""

    def __init__(
        self,
        socket: WireSocket,
        conversation: Conversation,
        limits: Limits,
        now: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._conversation = conversation
        self._now = now
        self._recording = UtteranceBuffer(limits)
        self._has_grown = asyncio.Event()
        self._state = RealtimeState.IDLE
        self._turn = TurnTask(conversation)
        self._partials = TurnTask(conversation)

    async def run(self) -> None:
        """Serve until the peer leaves."""
        await self._enter(RealtimeState.RECORDING)
        await self._partials.run(self._load_engine())
        self._conversation.open_room(
            self._turn.room, self._send_reply, lambda: bool(self._recording.pcm)
        )
        try:
            while True:
                await self._on_frame(await self._socket.receive())
        finally:
            self._conversation.close_rooms(self._send_reply)
            await self._partials.cancel()
            await self._turn.cancel()

    async def _on_frame(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            if not self._recording.is_refused:
                await self._on_slice(frame)
            return
        try:
            wire.check_end(frame)
        except RemoteProtocolError as error:
            await self._fail(Code.INVALID_CONTROL, str(error))
            return
        await self._on_end()

    async def _on_slice(self, frame: bytes) -> None:
        try:
            sound = decode_wav(frame, max_seconds=SLICE_S)
        except WavError as error:
            await self._fail(Code.INVALID_AUDIO, f"the slice {error}")
            return
        pcm = resample(sound.mono(), sound.rate, SAMPLE_RATE).astype("<i2").tobytes()
        is_first = bool(pcm) and not self._recording.pcm
        if not self._recording.add(pcm):
            await self._partials.cancel()
            max_bytes = self._recording.max_bytes
            await self._fail(Code.TOO_LONG, f"expected at most {max_bytes} bytes of sound")
            return
        if is_first:  # a person who speaks again interrupts the answer
            await self._turn.cancel()
            if self._state is not RealtimeState.RECORDING:
                await self._enter(RealtimeState.RECORDING)
            await self._partials.run(self._send_partials())
        self._has_grown.set()

    async def _on_end(self) -> None:
        if self._recording.is_refused:
            self._recording.take()
            return
        await self._partials.cancel()
        pcm = self._recording.take()
        if not pcm:
            await self._fail(Code.EMPTY_STREAM, "expected sound before the end")
            return
        await self._enter(RealtimeState.TRANSCRIBING)
        await self._turn.start(pcm, self._send_reply)

    async def _load_engine(self) -> None:
        """Have the engine load what the first partial transcript needs."""
        async with aclosing(self._conversation.partials(_no_sound())) as partials:
            async for _ in partials:
                pass

    async def _send_partials(self) -> None:
        """Send the transcript so far each time that it changes."""
        async with (
            aclosing(self._new_sound()) as sound,
            aclosing(self._conversation.partials(sound)) as partials,
        ):
            async for text in partials:
                await self._send(wire.RealtimeTranscript(text, is_final=False))

    async def _new_sound(self) -> AsyncGenerator[bytes, None]:
        """Yield the sound that has arrived since the last time."""
        taken = 0
        while True:
            await self._has_grown.wait()
            self._has_grown.clear()
            pcm = bytes(self._recording.pcm[taken:])
            taken += len(pcm)
            yield pcm

    async def _send_reply(self, message: ReplyMessage) -> None:
        match message:
            case TranscriptReady(text):
                await self._send(wire.RealtimeTranscript(text, is_final=True))
            case BrainAsked():
                await self._enter(RealtimeState.RESPONDING)
            case AnswerText(text):
                await self._send(wire.Response(text))
            case Spoken(_, speech):
                head = wire.Audio(speech.content_type, len(speech.audio))
                await self._socket.send(wire.encode(head, self._now()), speech.audio)
            case TurnDone(is_question=is_question, volume=volume):
                self._state = RealtimeState.IDLE
                status = wire.RealtimeStatus(self._state, follow_up=is_question, volume=volume)
                await self._send(status)
            case ReplyFailed(error):
                is_utterance = isinstance(error, UtteranceError)
                code = Code.NOT_UNDERSTOOD if is_utterance else Code.ENGINE_FAILED
                await self._fail(code, str(error))
            case _:
                assert_never(message)

    async def _enter(self, state: RealtimeState) -> None:
        self._state = state
        await self._send(wire.RealtimeStatus(state))

    async def _fail(self, code: Code, text: str) -> None:
        self._state = RealtimeState.ERROR
        await self._send(wire.RealtimeStatus(RealtimeState.ERROR, code, text))

    async def _send(self, message: wire.ToClient) -> None:
        await self._socket.send(wire.encode(message, self._now()))


async def _no_sound() -> AsyncGenerator[bytes, None]:
    yield b""
