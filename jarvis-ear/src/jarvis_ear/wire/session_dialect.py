"""The ear's words on the session stream, which knows no end of an utterance but silence.

So silence is the commit: what goes ahead never holds a pause that a server could take for the end
(``HoldBack``), and behind the rest comes a second of nothing. Sound that comes before that is not
for us. Our server tells in its status what it does; of one that does not, a reply is over when two
of its regular statuses came and nothing between them. Where a server says no status at all, the
answers to our regular pings stand for them.
"""

from typing import Final, assert_never

from jarvis_ear.errors import LocalProtocolError
from jarvis_ear.units import FRAME_BYTES, frames
from jarvis_ear.wire import session_pcm as wire
from jarvis_ear.wire import voice_messages as ear
from jarvis_ear.wire.dialect import Fence, Frame, PingFrame, PongFrame, number_of, numbered, slices
from jarvis_ear.wire.hold_back import HoldBack
from jarvis_ear.wire.printable import printable
from jarvis_ear.wire.spoken_pcm import SpokenPcm

PART_BYTES: Final = 2 * FRAME_BYTES
"""40 ms, the longer of the two lengths that the owner of the wire names."""

SILENCE: Final = bytes(frames(1000) * FRAME_BYTES)
"""What ends an utterance: servers wait for 0.8 s of it."""

QUIET_STATUSES: Final = 2
"""Regular statuses (every 5 s) with nothing between them: the reply was over before."""


class SessionDialect:
    """Translates for one connection. Pure; owned by the link."""

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id
        self._fence = Fence()
        self._hold_back = HoldBack()
        self._spoken: SpokenPcm | None = None
        self._works = False
        self._quiet: int | None = None
        self._says_status = False
        self.is_open = False
        """Whether the backend has said that the session runs."""

    def hello(self) -> tuple[Frame, ...]:
        """Start the session: it runs as long as the connection, mostly in silence."""
        return (wire.encode(wire.Start()),)

    def say(self, message: ear.ToBackend) -> tuple[Frame, ...]:
        """Return the frames that say ``message``."""
        match message:
            case ear.Ping():
                return (numbered(self._fence.ping()),)
            case ear.AudioStart():
                self._begin()
                return (numbered(self._fence.put_up()),)
            case ear.AudioPart(_, _, pcm):
                return slices(self._hold_back.add(pcm), PART_BYTES)
            case ear.AudioEnd():
                self._spoken = SpokenPcm()
                return slices(self._hold_back.rest() + SILENCE, PART_BYTES)
            case ear.AudioChunk():
                raise LocalProtocolError("this wire takes an utterance in parts")
            case _:
                assert_never(message)

    def hear(self, frame: Frame) -> tuple[ear.FromBackend, ...]:
        """Return what a frame of the backend says."""
        match frame:
            case str():
                return self._words(wire.decode_from_server(frame))
            case bytes():
                return self._speech(wire.check_pcm(frame))
            case PongFrame():
                started = self._fence.pong(number_of(frame))
                if started:
                    return (ear.Listening(self._agent_id), ear.Pong())
                return (ear.Pong(), *(() if self._says_status else self._regular()))
            case PingFrame():
                return ()
            case _:
                assert_never(frame)

    def _begin(self) -> None:
        self._hold_back = HoldBack()
        self._spoken = None
        self._works = False
        self._quiet = None

    def _speech(self, pcm: bytes) -> tuple[ear.FromBackend, ...]:
        if self._spoken is None:
            return ()
        self._quiet = 0
        return self._spoken.add(pcm)

    def _words(self, message: wire.ToClient) -> tuple[ear.FromBackend, ...]:
        match message:
            case wire.Status():
                return self._status(message)
            case wire.Transcript(text):
                self._works = True
                return (ear.Processing(), ear.Transcript(printable(text)))
            case wire.Reply(text):
                self._quiet = 0
                return (ear.Answer(printable(text)),)
            case wire.Error(text):
                self._works = False
                return (ear.BackendError(printable(text)),)
            case _:
                assert_never(message)

    def _status(self, status: wire.Status) -> tuple[ear.FromBackend, ...]:
        self._says_status = True
        self.is_open |= status.state == "running"
        if status.turn == wire.PROCESSING:
            self._works = True
            return (ear.Processing(),)
        if status.turn == wire.LISTENING:
            return self._done() if self._works else ()
        return self._regular()

    def _regular(self) -> tuple[ear.FromBackend, ...]:
        """Take a sign of life that says nothing of the turn: two with nothing between end it."""
        if self._quiet is None or self._spoken is None:
            return ()
        self._quiet += 1
        return self._done() if self._quiet >= QUIET_STATUSES else self._spoken.rest()

    def _done(self) -> tuple[ear.FromBackend, ...]:
        self._works = False
        self._quiet = None
        if self._spoken is None:
            return (ear.TtsDone(0),)
        rest = self._spoken.rest()
        return (*rest, ear.TtsDone(self._spoken.pieces))
