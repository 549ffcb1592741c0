"""The ear's words on the voice channel ``/ws/voice``.

The end of an utterance is the commit, ``processing`` (or anything that follows it) the proof. Its
owner's test knows only ``ping`` and binary frames; what a server passes over does no harm.
"""

from typing import assert_never

from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES
from jarvis_ear.wire import voice_messages as ear
from jarvis_ear.wire import voice_ws as wire
from jarvis_ear.wire.dialect import Fence, Frame, slices
from jarvis_ear.wire.printable import printable
from jarvis_ear.wire.spoken_pcm import SpokenPcm

PART_BYTES = 5 * FRAME_BYTES
"""100 ms: some 300 messages for the longest utterance, even if it goes up at once."""


class VoiceWsDialect:
    """Translates for one connection. Pure; owned by the link."""

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id
        self._fence = Fence()
        self._spoken = SpokenPcm()
        self.is_open = False
        """Whether the backend has answered the first ping."""

    def hello(self) -> tuple[Frame, ...]:
        """Ask whether anybody is there who knows this wire."""
        return self.say(ear.Ping(self._agent_id))

    def say(self, message: ear.ToBackend) -> tuple[Frame, ...]:
        """Return the frames that say ``message``."""
        match message:
            case ear.Ping():
                self._fence.ping()
                return (wire.encode(wire.Ping()),)
            case ear.AudioStart():
                self._fence.put_up()
                return (wire.encode(wire.Start()), wire.encode(wire.Ping()))
            case ear.AudioPart(_, _, pcm):
                return slices(pcm, PART_BYTES)
            case ear.AudioEnd():
                self._spoken = SpokenPcm()
                return (wire.encode(wire.End()),)
            case ear.AudioChunk():
                raise LocalProtocolError("this wire takes an utterance in parts")
            case _:
                assert_never(message)

    def hear(self, frame: Frame) -> tuple[ear.FromBackend, ...]:
        """Return what a frame of the backend says."""
        if isinstance(frame, bytes):
            return self._speech(frame)
        if isinstance(frame, str):
            return self._words(wire.decode_from_server(frame))
        return ()

    def _speech(self, pcm: bytes) -> tuple[ear.FromBackend, ...]:
        if len(pcm) % SAMPLE_BYTES:
            raise RemoteProtocolError(f"{len(pcm)} bytes of sound; PCM16 needs an even count")
        return self._spoken.add(pcm)

    def _words(  # noqa: PLR0911 - one case for each message of the wire
        self, message: wire.ToClient
    ) -> tuple[ear.FromBackend, ...]:
        match message:
            case wire.Pong():
                self.is_open = True
                started = self._fence.pong()
                return (ear.Listening(self._agent_id), ear.Pong()) if started else (ear.Pong(),)
            case wire.AudioReceived():
                return ()
            case wire.Processing():
                return (ear.Processing(),)
            case wire.Transcript(text):
                return (ear.Transcript(printable(text)),)
            case wire.Reply(text):
                return (ear.Answer(printable(text)),)
            case wire.Done():
                rest = self._spoken.rest()
                return (*rest, ear.TtsDone(self._spoken.pieces))
            case wire.Interrupted():
                return (ear.BackendError("interrupted"),)
            case wire.Error(text):
                return (ear.BackendError(printable(text)),)
            case _:
                assert_never(message)
