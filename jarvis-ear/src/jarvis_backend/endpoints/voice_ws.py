"""The voice channel ``/ws/voice``: bare PCM16 up, its answer down as fast as it is heard."""

import logging
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
from jarvis_backend.endpoints.speaking import SLICE_BYTES, Pacer, Pauses, Speaking, in_order, pcm_of
from jarvis_backend.errors import EngineError, UtteranceError
from jarvis_backend.text import one_line
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import voice_ws as wire
from jarvis_ear.wires.json_fields import RemoteProtocolError

_LOG: Final = logging.getLogger(__name__)


def voice_ws_routes(door: SocketDoor, conversation: Conversation, limits: Limits) -> APIRouter:
    """Routes of the voice channel."""
    routes = APIRouter()

    @routes.websocket(wire.PATH)
    async def voice(socket: WebSocket) -> None:
        async def talk(line: WireSocket) -> None:
            await VoiceChannel(line, conversation, limits).run()

        await door.serve(socket, talk)

    return routes


class VoiceChannel:
    """One connection. Receives in its own task, answers in another. Lives on the loop.

    Between start and end it collects at most ``limits.recording_s`` of sound. A longer recording is
    refused, once, and nothing of it up to its end is taken for an utterance of its own.
    Without a start, utterances end where the person pauses.
    """

    def __init__(self, line: WireSocket, conversation: Conversation, limits: Limits) -> None:
        self._line = line
        self._conversation = conversation
        self._most_bytes = min(
            limits.recording_bytes, int(limits.recording_s * SAMPLE_RATE) * SAMPLE_BYTES
        )
        self._collected: bytearray | None = None
        self._refused = False
        self._pauses = Pauses(limits.recording_s)
        self._speaking = Speaking()

    async def run(self) -> None:
        """Serve until the peer leaves."""
        try:
            while True:
                frame = await self._line.receive()
                try:
                    await self._take(frame)
                except (RemoteProtocolError, UtteranceError) as error:
                    await self._say(ear.ErrorMessage(str(error)))
        finally:
            await self._speaking.stop()

    async def _take(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            await self._hear(frame)
            return
        message = wire.decode_from_client(frame)
        match message:
            case wire.VoiceWsPing():
                await self._say(ear.Pong())
            case wire.VoiceWsStart():
                self._collected = bytearray()
                self._refused = False
            case wire.End():
                await self._end()
            case wire.Interrupt():
                if await self._speaking.stop():
                    await self._say(wire.Interrupted())
            case _:
                assert_never(message)

    async def _hear(self, pcm: bytes) -> None:
        if len(pcm) % SAMPLE_BYTES:
            raise UtteranceError(f"{len(pcm)} bytes of sound; PCM16 needs an even count")
        if self._refused:
            return
        if self._collected is None:
            await self._say(wire.AudioReceived(len(pcm)))
            for utterance in self._pauses.hear(pcm):
                await self._answer(utterance)
            return
        if len(self._collected) + len(pcm) > self._most_bytes:
            self._collected, self._refused = None, True
            raise UtteranceError(f"Recording too large, expected at most {self._most_bytes} bytes")
        self._collected += pcm
        await self._say(wire.AudioReceived(len(pcm)))

    async def _end(self) -> None:
        if self._refused:
            self._refused = False
            return
        collected, self._collected = self._collected, None
        pcm = self._pauses.rest() if collected is None else bytes(collected)
        if not pcm:
            raise UtteranceError("No audio received")
        await self._answer(pcm)

    async def _answer(self, pcm: bytes) -> None:
        if await self._speaking.stop():
            await self._say(wire.Interrupted())
        await self._say(ear.Processing())
        await self._speaking.begin(self._turn(pcm))

    async def _turn(self, pcm: bytes) -> None:
        pacer = Pacer(self._line.say, SLICE_BYTES)
        try:
            async with (
                aclosing(self._conversation.reply(pcm_to_wav(pcm))) as reply,
                aclosing(in_order(reply)) as messages,
            ):
                async for message in messages:
                    await self._carry(message, pacer)
        except (UtteranceError, EngineError) as error:
            _LOG.warning("turn failed: %s", one_line(str(error)))
            await self._say(ear.ErrorMessage(str(error)))

    async def _carry(self, message: ReplyMessage, pacer: Pacer) -> None:
        match message:
            case TranscriptReady(text):
                await self._say(ear.Transcript(text))
            case BrainAsked():
                pass  # this wire has no word for it
            case AnswerText(text):
                await self._say(ear.Answer(text))
            case Spoken(_, speech):
                await pacer.play(await pcm_of(speech))
            case TurnDone():
                await self._say(wire.Done())
            case _:
                assert_never(message)

    async def _say(self, message: wire.ToClient) -> None:
        await self._line.say(wire.encode(message))
