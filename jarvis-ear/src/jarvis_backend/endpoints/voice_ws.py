"""The voice channel ``/ws/voice``: bare PCM16 up, speech down at the pace at which it is heard."""

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
from jarvis_backend.endpoints.turns import Pacer, TurnTask
from jarvis_backend.endpoints.websocket import WebSocketRoute, WireSocket
from jarvis_backend.errors import UtteranceError
from jarvis_backend.recordings import UtteranceBuffer
from jarvis_backend.vad import UtteranceSplitter
from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import voice_ws as wire
from jarvis_ear.wires.json_fields import RemoteProtocolError

PIECE_BYTES: Final = 2 * FRAME_BYTES
"""40 ms of speech per frame: short enough for an interruption, long enough to cost little."""


def voice_ws_routes(route: WebSocketRoute, conversation: Conversation, limits: Limits) -> APIRouter:
    """Return the route of the voice channel."""
    return route.router(wire.PATH, lambda socket: VoiceChannel(socket, conversation, limits).run())


class VoiceChannel:
    """One connection. Receives in its own task and replies in another. Lives on the loop.

    Between start and end it collects one recording. Without a start, utterances end where the
    person pauses.
    """

    def __init__(self, socket: WireSocket, conversation: Conversation, limits: Limits) -> None:
        self._socket = socket
        self._conversation = conversation
        self._limits = limits
        self._recording: UtteranceBuffer | None = None
        self._splitter = UtteranceSplitter(limits.recording_s)
        self._pacer = Pacer(socket.send, PIECE_BYTES)
        self._turn = TurnTask(conversation)

    async def run(self) -> None:
        """Serve until the peer leaves."""
        self._conversation.open_room(
            self._turn.room, self._send_reply, lambda: self._recording is not None
        )
        try:
            while True:
                frame = await self._socket.receive()
                try:
                    await self._on_frame(frame)
                except (RemoteProtocolError, UtteranceError) as error:
                    await self._send(ear.ErrorMessage(str(error)))
        finally:
            self._conversation.close_rooms(self._send_reply)
            await self._turn.cancel()

    async def _on_frame(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            await self._on_sound(frame)
            return
        message = wire.decode_from_client(frame)
        match message:
            case wire.VoiceWsPing():
                await self._send(ear.Pong())
            case wire.VoiceWsStart():
                self._recording = UtteranceBuffer(self._limits)
            case wire.End():
                await self._on_end()
            case wire.Interrupt():
                await self._interrupt()
            case _:
                assert_never(message)

    async def _on_sound(self, pcm: bytes) -> None:
        recording = self._recording
        if len(pcm) % SAMPLE_BYTES:
            raise UtteranceError(f"{len(pcm)} bytes of sound; PCM16 needs an even count")
        if recording is None:
            await self._send(wire.AudioReceived(len(pcm)))
            for utterance in self._splitter.feed(pcm):
                await self._answer(utterance)
        elif not recording.is_refused:
            if not recording.add(pcm):
                raise UtteranceError(
                    f"Recording too large, expected at most {recording.max_bytes} bytes"
                )
            await self._send(wire.AudioReceived(len(pcm)))

    async def _on_end(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None and recording.is_refused:
            return
        pcm = self._splitter.flush() if recording is None else recording.take()
        if not pcm:
            raise UtteranceError("No audio received")
        await self._answer(pcm)

    async def _answer(self, pcm: bytes) -> None:
        await self._interrupt()
        await self._send(ear.Processing())
        self._pacer = Pacer(self._socket.send, PIECE_BYTES)
        await self._turn.start(pcm, self._send_reply)

    async def _interrupt(self) -> None:
        if await self._turn.cancel():
            await self._send(wire.Interrupted())

    async def _send_reply(self, message: ReplyMessage) -> None:
        match message:
            case TranscriptReady(text):
                await self._send(ear.Transcript(text))
            case BrainAsked(is_repeated=True):
                await self._send(ear.Processing())
            case BrainAsked():
                pass  # this wire has no message for it
            case AnswerText(text):
                await self._send(ear.Answer(text))
            case Spoken(_, speech):
                await self._pacer.play(speech)
            case TurnDone(is_question=is_question, volume=volume):
                await self._send(wire.Done(is_question, volume.percent, volume.change))
            case ReplyFailed(error):
                await self._send(ear.ErrorMessage(str(error)))
            case _:
                assert_never(message)

    async def _send(self, message: wire.ToClient) -> None:
        await self._socket.send(wire.encode(message))
