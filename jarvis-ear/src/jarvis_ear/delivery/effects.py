"""What the delivery wants done: orders to the transport, to be obeyed in order."""

from dataclasses import dataclass
from typing import TypeAlias

from jarvis_ear.delivery.events import TurnEvent, UnaskedSpeech
from jarvis_ear.delivery.mark import Mark
from jarvis_ear.wire.voice_messages import AudioChunk, AudioEnd, AudioPart, AudioStart


@dataclass(frozen=True, slots=True)
class Send:
    """Say this to the backend, in order."""

    message: AudioStart | AudioPart | AudioEnd


@dataclass(frozen=True, slots=True)
class Upload:
    """Say this to the backend, and report when the socket has taken all of it."""

    message: AudioChunk | AudioPart


@dataclass(frozen=True, slots=True)
class Replace:
    """Throw the link away so that nothing of it can still arrive, and connect anew at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Write down where this utterance stands, before the effect that follows this one.

    The outbox has to be told what became of ``Mark.SENT``: what is not written down is not sent.
    """

    turn_id: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the rest of the ear."""

    event: TurnEvent | UnaskedSpeech


Effect: TypeAlias = Send | Upload | Replace | Note | Tell
