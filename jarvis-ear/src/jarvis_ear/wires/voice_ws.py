"""The voice channel ``/ws/voice``: codec, dialect and handshake."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

import aiohttp

from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires.dialect import Endpoint, Fence, Frame, SpokenPcm, slices
from jarvis_ear.wires.json_fields import Vocabulary, printable

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
class VoiceWsPong:
    """Server: the answer to a ping."""


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """Server: a binary frame has arrived."""

    bytes: int = 0
    """Length of that frame; 0 if the server does not report it."""


@dataclass(frozen=True, slots=True)
class VoiceWsProcessing:
    """Server: the utterance has arrived and is being processed."""


@dataclass(frozen=True, slots=True)
class VoiceWsTranscript:
    """Server: the transcript."""

    text: str


@dataclass(frozen=True, slots=True)
class VoiceWsReply:
    """Server: the text of the reply; its speech follows in binary frames."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Server: no binary frame of that answer follows. Discard what is not played yet."""


@dataclass(frozen=True, slots=True)
class Done:
    """Server: the answer is complete."""


@dataclass(frozen=True, slots=True)
class VoiceWsError:
    """Server: this message, or this turn, could not be used."""

    message: str


ToServer: TypeAlias = VoiceWsPing | VoiceWsStart | End | Interrupt
ToClient: TypeAlias = (
    VoiceWsPong
    | AudioReceived
    | VoiceWsProcessing
    | VoiceWsTranscript
    | VoiceWsReply
    | Interrupted
    | Done
    | VoiceWsError
)

TO_SERVER: Final[Mapping[str, type[ToServer]]] = {
    "ping": VoiceWsPing,
    "start": VoiceWsStart,
    "end": End,
    "interrupt": Interrupt,
}
"""Messages of clients, by ``type``."""

TO_CLIENT: Final[Mapping[str, type[ToClient]]] = {
    "pong": VoiceWsPong,
    "audio_received": AudioReceived,
    "processing": VoiceWsProcessing,
    "transcript": VoiceWsTranscript,
    "reply": VoiceWsReply,
    "interrupted": Interrupted,
    "done": Done,
    "error": VoiceWsError,
}
"""Messages of the server, by ``type``."""

_FROM_CLIENT: Final = Vocabulary[ToServer](TO_SERVER)
_FROM_SERVER: Final = Vocabulary[ToClient](TO_CLIENT)


def encode(message: ToServer | ToClient) -> str:
    """Return the text frame for ``message``."""
    if isinstance(message, ToServer):
        return _FROM_CLIENT.encode(message)
    return _FROM_SERVER.encode(message)


def decode_from_client(text: str) -> ToServer:
    """Return the message of the client's frame ``text``."""
    return _FROM_CLIENT.decode(text)


def decode_from_server(text: str) -> ToClient:
    """Return the message of the server's frame ``text``."""
    return _FROM_SERVER.decode(text)


PART_BYTES = 5 * FRAME_BYTES
"""100 ms: about 300 messages for the longest utterance, even if it is uploaded at once."""


class VoiceWsDialect:
    """Translates for one connection. Pure; owned by the link."""

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id
        self._fence = Fence()
        self._spoken = SpokenPcm()
        self.is_open = False
        """Whether the backend has answered the first ping."""

    def hello(self) -> tuple[Frame, ...]:
        """Send a ping, to check that the server speaks this wire."""
        return self.say(ear.Ping(self._agent_id))

    def say(self, message: ear.ToBackend) -> tuple[Frame, ...]:
        """Return the frames for ``message``."""
        match message:
            case ear.Ping():
                self._fence.ping()
                return (encode(VoiceWsPing()),)
            case ear.AudioStart():
                self._fence.put_up()
                return (encode(VoiceWsStart()), encode(VoiceWsPing()))
            case ear.AudioPart(_, _, pcm):
                return slices(pcm, PART_BYTES)
            case ear.AudioEnd():
                self._spoken = SpokenPcm()
                return (encode(End()),)
            case ear.AudioChunk():
                raise LocalProtocolError("this wire takes an utterance in parts")
            case _:
                assert_never(message)

    def hear(self, frame: Frame) -> tuple[ear.FromBackend, ...]:
        """Return the messages of a frame from the backend."""
        if isinstance(frame, bytes):
            return self._speech(frame)
        if isinstance(frame, str):
            return self._words(decode_from_server(frame))
        return ()

    def _speech(self, pcm: bytes) -> tuple[ear.FromBackend, ...]:
        if len(pcm) % SAMPLE_BYTES:
            raise RemoteProtocolError(f"{len(pcm)} bytes of sound; PCM16 needs an even count")
        return self._spoken.add(pcm)

    def _words(  # noqa: PLR0911 - one case for each message of the wire
        self, message: ToClient
    ) -> tuple[ear.FromBackend, ...]:
        match message:
            case VoiceWsPong():
                self.is_open = True
                started = self._fence.pong()
                return (ear.Listening(self._agent_id), ear.Pong()) if started else (ear.Pong(),)
            case AudioReceived():
                return ()
            case VoiceWsProcessing():
                return (ear.Processing(),)
            case VoiceWsTranscript(text):
                return (ear.Transcript(printable(text)),)
            case VoiceWsReply(text):
                return (ear.Answer(printable(text)),)
            case Done():
                rest = self._spoken.rest()
                return (*rest, ear.TtsDone(self._spoken.pieces))
            case Interrupted():
                return (ear.BackendError("interrupted"),)
            case VoiceWsError(text):
                return (ear.BackendError(printable(text)),)
            case _:
                assert_never(message)


class VoiceWsHandshake:
    """Opens the WebSocket at its address, with the token if there is one."""

    def __init__(self, url: str, path: str = "") -> None:
        self._address = url + (path or PATH)

    async def find(self, _session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return the endpoint."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return Endpoint(self._address, headers)

    async def leave(self, _session: aiohttp.ClientSession) -> None:
        """Send nothing: a reset of the connection is enough."""
