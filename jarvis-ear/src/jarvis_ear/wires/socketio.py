"""The Socket.IO wire of the backend, namespace ``/voice``: events with one JSON object each.

Pure: translates an event name and a payload to a message, and back. Invalid input raises
``RemoteProtocolError`` and nothing else.
"""

import base64
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias, assert_never

from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError, UnknownMessage
from jarvis_ear.wires.json_fields import printable
from jarvis_ear.wires.messages import (
    AudioChunk,
    AudioEnd,
    AudioPart,
    AudioStart,
    BackendError,
    FromBackend,
    Listening,
    Ping,
    Pong,
    Processing,
    Thinking,
    ToBackend,
    Transcript,
    TtsChunk,
    TtsDone,
    VolumeRequest,
)

NAMESPACE: Final = "/voice"
AUDIO_START: Final = "voice:audio_start"
AUDIO_CHUNK: Final = "voice:audio_chunk"
AUDIO_END: Final = "voice:audio_end"
PING: Final = "voice:ping"
PONG: Final = "voice:pong"
LISTENING: Final = "voice:listening"
PROCESSING: Final = "voice:processing"
TRANSCRIPT: Final = "voice:transcript"
THINKING: Final = "voice:thinking"
TTS_CHUNK: Final = "voice:tts_chunk"
TTS_DONE: Final = "voice:tts_done"
ERROR: Final = "voice:error"

MAX_FRAME_BYTES: Final = 5 * 1024 * 1024
"""Largest frame; at one byte more the backend closes the connection without a message."""

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""Largest message taken from the backend: a chunk of 2000 letters spoken at 24 kHz fits."""

MAX_INDEX: Final = 511
"""Highest index of a chunk: more than any reply that a person listens to."""

MAX_TEXT: Final = 16_384
"""Characters of a transcript, provider or error: many times what 30 s of speech can hold."""

MAX_AGENT_ID: Final = 64
"""As in the configuration."""

_FRAME_OVERHEAD: Final = len('42/voice,["voice:audio_chunk",{"agentId":"","audio":"","seq":0}]')
_SEQ_DIGITS: Final = 20  # room for any counter, and for a serializer that adds spaces
_ESCAPED: Final = 6  # JSON may write one character as \uXXXX (outside the BMP: two of them)

_CONTENT_TYPE: Final = re.compile(r"[A-Za-z0-9.+-]{1,32}/[A-Za-z0-9.+-]{1,32}(;[ -~]{0,64})?")

Payload: TypeAlias = dict[str, str | int]
Fields: TypeAlias = Mapping[str, Any]


def base64_length(raw_bytes: int) -> int:
    """Return the length of ``raw_bytes`` bytes in base64."""
    return (raw_bytes + 2) // 3 * 4


def frame_length(agent_id: str, audio_bytes: int) -> int:
    """Return an upper bound of the frame that carries ``audio_bytes`` bytes of sound."""
    name = 2 * _ESCAPED * len(agent_id)
    return _FRAME_OVERHEAD + _SEQ_DIGITS + name + base64_length(audio_bytes)


def encode(message: ToBackend, agent_id: str) -> tuple[str, Payload]:
    """Return name and payload of the event for ``message`` of the ear ``agent_id``.

    A message that names an agent is for that one instead.
    """
    agent_id = getattr(message, "agent_id", "") or agent_id
    if not isinstance(agent_id, str) or not 0 < len(agent_id) <= MAX_AGENT_ID:
        raise LocalProtocolError("an agentId is text of 1 to 64 letters")
    match message:
        case AudioStart():
            return AUDIO_START, {"agentId": agent_id}
        case AudioChunk(audio=audio):
            if (length := frame_length(agent_id, len(audio))) > MAX_FRAME_BYTES:
                raise LocalProtocolError(
                    f"frame of {length} bytes; expected at most {MAX_FRAME_BYTES}"
                )
            letters = base64.b64encode(audio).decode("ascii")
            return AUDIO_CHUNK, {"agentId": agent_id, "audio": letters, "seq": 0}
        case AudioPart():
            raise LocalProtocolError("this wire takes an utterance whole")
        case AudioEnd():
            return AUDIO_END, {"agentId": agent_id}
        case Ping():
            return PING, {"agentId": agent_id}
        case _:
            assert_never(message)


def decode(event: str, payload: object = None) -> FromBackend:
    """Return the message of ``event`` with ``payload``, or raise ``RemoteProtocolError``."""
    decoder = _DECODERS.get(event)
    if decoder is None:
        raise UnknownMessage(f"unknown event {printable(event[:40])!r} from the backend")
    fields = {} if payload is None else payload
    if event == ERROR and not isinstance(fields, dict):
        fields = {"error": fields}
    if not isinstance(fields, dict):
        raise RemoteProtocolError(f"{event} with {type(payload).__name__}; expected an object")
    named = fields.get("agentId")
    if event != ERROR and not (
        named is None or (isinstance(named, str) and len(named) <= MAX_AGENT_ID)
    ):
        raise RemoteProtocolError(f"{event} with an invalid agentId")
    return decoder(fields)


def is_for_another(agents: Collection[str], payload: object = None) -> bool:
    """Whether an event with ``payload`` names an ear that is not one of ``agents``.

    Every event may name one. Without a name it is for the ear that has the connection.
    """
    named = payload.get("agentId") if isinstance(payload, dict) else None
    return isinstance(named, str) and named not in agents


def media_type(content_type: str) -> str:
    """Return ``content_type`` if it is valid."""
    if _CONTENT_TYPE.fullmatch(content_type) is None:
        raise RemoteProtocolError("contentType is not a media type")
    return content_type


def _error(fields: Fields) -> FromBackend:
    """Accept any payload: rejecting a malformed failure would turn it into a success."""
    text = fields.get("error")
    return BackendError(printable(text[:MAX_TEXT]) if isinstance(text, str) else "")


def _text(fields: Fields, key: str) -> str:
    text = fields.get(key)
    if not isinstance(text, str):
        raise RemoteProtocolError(f"{key} is {type(text).__name__}; expected text")
    if len(text) > MAX_TEXT:
        raise RemoteProtocolError(f"{key} of {len(text)} letters; expected at most {MAX_TEXT}")
    return printable(text)


def _count(fields: Fields, key: str, most: int) -> int:
    count = fields.get(key)
    if not isinstance(count, int) or isinstance(count, bool):
        raise RemoteProtocolError(f"{key} is {type(count).__name__}; expected a whole number")
    if not 0 <= count <= most:
        raise RemoteProtocolError(f"{key} is out of range; expected 0 to {most}")
    return count


def _total(fields: Fields) -> int | None:
    """Return None for a missing or invalid number: the reply ends nevertheless."""
    try:
        return _count(fields, "totalChunks", MAX_INDEX + 1)
    except RemoteProtocolError:
        return None


def _audio(fields: Fields) -> bytes:
    letters = fields.get("audio")
    if not isinstance(letters, str):
        raise RemoteProtocolError(f"audio is {type(letters).__name__}; expected base64 text")
    if not 0 < len(letters) <= MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"audio of {len(letters)} letters; expected 1 to 8 MiB")
    try:
        return base64.b64decode(letters, validate=True)
    except ValueError as error:
        raise RemoteProtocolError("audio is not base64") from error


_DECODERS: Final[Mapping[str, Callable[[Fields], FromBackend]]] = {
    LISTENING: lambda fields: Listening(fields.get("agentId")),
    PROCESSING: lambda _: Processing(),
    TRANSCRIPT: lambda fields: Transcript(_text(fields, "text")),
    THINKING: lambda fields: Thinking(_text(fields, "provider")),
    TTS_CHUNK: lambda fields: TtsChunk(
        _count(fields, "index", MAX_INDEX), media_type(_text(fields, "contentType")), _audio(fields)
    ),
    TTS_DONE: lambda fields: TtsDone(
        _total(fields), fields.get("followUp") is True, VolumeRequest.read(fields)
    ),
    ERROR: _error,
    PONG: lambda _: Pong(),
}
