"""The voice channel ``/ws/voice``: codec, dialect and handshake."""

from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

import aiohttp

from jarvis_ear.units import FRAME_BYTES
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires.dialect import (
    BackendDialect,
    Endpoint,
    Frame,
    Handshake,
    PongFrame,
    ReplyChunks,
    bearer,
    check_pcm,
    slices,
)
from jarvis_ear.wires.json_fields import OMITTED, Vocabulary, write_fields

PATH: Final = "/ws/voice"


@dataclass(frozen=True, slots=True)
class VoiceWsPing:
    """Client: a ping."""


@dataclass(frozen=True, slots=True)
class VoiceWsStart:
    """Client: an utterance follows. Sound collected so far is discarded."""


@dataclass(frozen=True, slots=True)
class End:
    """Client: the utterance is complete."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Client: stop speaking."""


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """Server: a binary frame has arrived."""

    bytes: int = 0
    """Length of that frame; 0 if the server does not report it."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Server: no binary frame of that answer follows. Discard what is not played yet."""


@dataclass(frozen=True, slots=True)
class Done:
    """Server: the answer is complete."""

    follow_up: bool = field(default=False, metadata=OMITTED)
    """Whether the server asks the client to listen for what the person answers."""
    volume: object = field(default=None, metadata=OMITTED)
    """Volume of replies to set, 0 to 100."""
    volume_change: object = field(default=None, metadata=OMITTED)
    """Points to add to the volume, -100 to 100."""


ToServer: TypeAlias = VoiceWsPing | VoiceWsStart | End | Interrupt
ToClient: TypeAlias = (
    ear.Pong
    | AudioReceived
    | ear.Processing
    | ear.Transcript
    | ear.Answer
    | Interrupted
    | Done
    | ear.ErrorMessage
)

TO_SERVER: Final = Vocabulary[ToServer](
    {"ping": VoiceWsPing, "start": VoiceWsStart, "end": End, "interrupt": Interrupt}
)
"""Messages of clients, by ``type``."""

TO_CLIENT: Final = Vocabulary[ToClient](
    {
        "pong": ear.Pong,
        "audio_received": AudioReceived,
        "processing": ear.Processing,
        "transcript": ear.Transcript,
        "reply": ear.Answer,
        "interrupted": Interrupted,
        "done": Done,
        "error": ear.ErrorMessage,
    }
)
"""Messages of the server, by ``type``. The speech of a reply follows in binary frames."""

decode_from_client = TO_SERVER.decode
decode_from_server = TO_CLIENT.decode


def encode(message: ToServer | ToClient) -> str:
    """Return the text frame for ``message``."""
    if isinstance(message, ToServer):
        return TO_SERVER.encode(message)
    return TO_CLIENT.encode(message)


PART_BYTES: Final = 5 * FRAME_BYTES
"""100 ms: about 300 messages for the longest utterance, even if it is uploaded at once."""


class VoiceWsDialect(BackendDialect):
    """Translates for one connection; open once the backend has answered the first ping."""

    def __init__(self) -> None:
        super().__init__()
        self._reply = ReplyChunks()

    def hello(self) -> tuple[Frame, ...]:
        """Send a ping, to check that the server speaks this wire."""
        return self.say(ear.Ping())

    def hear(self, frame: Frame) -> tuple[ear.FromBackend, ...]:
        """Return the messages of a frame; a pong of the WebSocket itself answers nothing."""
        return () if isinstance(frame, PongFrame) else super().hear(frame)

    def _ping(self, _number: int) -> Frame:
        return encode(VoiceWsPing())

    def _start(self) -> tuple[Frame, ...]:
        return (encode(VoiceWsStart()),)

    def _sound(self, pcm: bytes) -> tuple[Frame, ...]:
        return slices(pcm, PART_BYTES)

    def _end(self) -> tuple[Frame, ...]:
        self._reply = ReplyChunks()
        return (encode(End()),)

    def _speech(self, frame: bytes) -> tuple[ear.FromBackend, ...]:
        return self._reply.add(check_pcm(frame))

    def _text(self, frame: str) -> tuple[ear.FromBackend, ...]:
        message = decode_from_server(frame)
        match message:
            case ear.Pong():
                self.is_open = True
                return self._pong(self._pongs + 1)
            case AudioReceived():
                return ()
            case ear.Processing() | ear.Transcript() | ear.Answer():
                return (message,)
            case Done(follow_up):
                reply, self._reply = self._reply, ReplyChunks()
                volume = ear.VolumeRequest.read(write_fields(message))
                return reply.finish(follow_up=follow_up, volume=volume)
            case Interrupted():
                self._reply = ReplyChunks()
                return (ear.BackendError("interrupted"),)
            case ear.ErrorMessage(text):
                self._reply = ReplyChunks()
                return (ear.BackendError(text),)
            case _:
                assert_never(message)


class VoiceWsHandshake(Handshake):
    """Opens the WebSocket at its address, with the token if there is one."""

    def __init__(self, url: str, path: str = "") -> None:
        self._address = url + (path or PATH)

    async def find(self, _session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return the endpoint."""
        return Endpoint(self._address, bearer(token))
