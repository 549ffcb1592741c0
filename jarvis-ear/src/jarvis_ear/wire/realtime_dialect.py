"""The ear's words on the realtime stream: WAV slices up, statuses and sentences down.

The wire has no word for a start: the first slice begins an utterance. ``end`` is the commit,
``transcribing`` the proof. It has no ping of its own, so that of the WebSocket is used.
"""

from collections.abc import Mapping
from typing import Final, assert_never

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.units import FRAME_BYTES
from jarvis_ear.wire import realtime_wav as wire
from jarvis_ear.wire import voice_messages as ear
from jarvis_ear.wire.dialect import Fence, Frame, PingFrame, PongFrame, number_of, numbered, slices
from jarvis_ear.wire.printable import printable
from jarvis_ear.wire.realtime_wav import Code, State
from jarvis_ear.wire.voice_socketio import MAX_INDEX, media_type

SLICE_BYTES: Final = 10 * FRAME_BYTES
"""200 ms: the longest slice that the owner of the wire names."""

_PHRASES: Final[Mapping[Code, str]] = {
    Code.EMPTY_STREAM: "No audio received",
    Code.NOT_UNDERSTOOD: "Could not understand audio",
}
"""What delivery calls the causes that it knows."""


class RealtimeDialect:
    """Translates for one connection. Pure; owned by the link."""

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id
        self._fence = Fence()
        self._announced: wire.Audio | None = None
        self._sentences = 0  # announced: one whose sound is refused is missing, and counts
        self.is_open = False
        """Whether the backend has said that it records, which comes first."""

    def hello(self) -> tuple[Frame, ...]:
        """Say nothing: the backend begins."""
        return ()

    def say(self, message: ear.ToBackend) -> tuple[Frame, ...]:
        """Return the frames that say ``message``."""
        match message:
            case ear.Ping():
                return (numbered(self._fence.ping()),)
            case ear.AudioStart():
                return (numbered(self._fence.put_up()),)
            case ear.AudioPart(_, _, pcm):
                return tuple(pcm_to_wav(piece) for piece in slices(pcm, SLICE_BYTES))
            case ear.AudioEnd():
                self._announced, self._sentences = None, 0
                return (wire.encode_end(),)
            case ear.AudioChunk():
                raise LocalProtocolError("this wire takes an utterance in parts")
            case _:
                assert_never(message)

    def hear(self, frame: Frame) -> tuple[ear.FromBackend, ...]:
        """Return what a frame of the backend says."""
        match frame:
            case str():
                return self._words(wire.decode(frame))
            case bytes():
                return self._sentence(frame)
            case PongFrame():
                started = self._fence.pong(number_of(frame))
                return (ear.Listening(self._agent_id), ear.Pong()) if started else (ear.Pong(),)
            case PingFrame():
                return ()
            case _:
                assert_never(frame)

    def _words(self, message: wire.ToClient) -> tuple[ear.FromBackend, ...]:
        match message:
            case wire.Status(state, code, text):
                return self._status(state, code, text)
            case wire.Transcript(text, True):
                return (ear.Transcript(printable(text)),)
            case wire.Transcript(text):
                return (ear.PartialTranscript(printable(text)),)
            case wire.Response(text):
                return (ear.Answer(printable(text)),)
            case wire.Audio():
                self._announced = message
                self._sentences += 1
                return ()
            case _:
                assert_never(message)

    def _status(self, state: State, code: Code | None, text: str) -> tuple[ear.FromBackend, ...]:
        match state:
            case State.RECORDING:
                self.is_open = True
                return ()
            case State.TRANSCRIBING | State.RESPONDING:
                return (ear.Processing(),)
            case State.IDLE:
                return (ear.TtsDone(min(self._sentences, MAX_INDEX + 1)),)
            case State.ERROR:
                known = _PHRASES.get(code) if code is not None else None
                return (ear.BackendError(printable(known or text or "error")),)
            case _:
                assert_never(state)

    def _sentence(self, audio: bytes) -> tuple[ear.FromBackend, ...]:
        announced, self._announced = self._announced, None
        if announced is None:
            raise RemoteProtocolError("sound that was not announced; expected an audio event first")
        if announced.size != len(audio):
            raise RemoteProtocolError(f"{len(audio)} bytes of sound; expected {announced.size}")
        index = self._sentences - 1
        if index > MAX_INDEX:
            raise RemoteProtocolError(f"sentence {index}; expected at most {MAX_INDEX}")
        kind = announced.format if "/" in announced.format else f"audio/{announced.format}"
        return (ear.TtsChunk(index, media_type(kind), audio),)
