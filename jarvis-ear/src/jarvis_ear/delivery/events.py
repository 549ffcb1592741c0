"""Delivery events: progress and verdict of an utterance.

Every event of a turn carries its ``turn_id``; late arrivals are recognised by id, not by time.
A part of the library interface, see docs/library.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from jarvis_ear.wires.messages import UNCHANGED, VolumeRequest

__all__ = [
    "Announced",
    "Answered",
    "Cause",
    "ChunksMissing",
    "DeliveryEvent",
    "Finished",
    "Kept",
    "LinkDown",
    "LinkEvent",
    "LinkUp",
    "PartlyTranscribed",
    "ProcessingStarted",
    "Refused",
    "ReplyAudio",
    "Sent",
    "StillWaiting",
    "ThinkingStarted",
    "Transcribed",
    "TurnEvent",
    "UnaskedSpeech",
    "Verdict",
    "VolumeRequest",
]


class Cause(StrEnum):
    """The codes of ``Finished``, a part of the contract: add, never rename."""

    NONE = ""
    """No failure."""
    TOO_OLD = "too_old"
    """It expired while it waited for the link."""
    OUTBOX_FULL = "outbox_full"
    """It was dropped to make room for newer utterances."""
    TOO_LARGE = "too_large"
    """Its frame would exceed what the backend accepts."""
    BAD_AUDIO = "bad_audio"
    """Empty, or not a whole number of samples."""
    LINK_LOST = "link_lost"
    """The link was lost at a point after which it must not be sent again."""
    NO_PROCESSING = "no_processing"
    """The backend did not confirm that it processes it."""
    NO_REPLY = "no_reply"
    """The backend accepted it, but the reply did not come, or did not end."""
    REPLY_TOO_BIG = "reply_too_big"
    """The reply exceeded the limits of size."""
    INTERRUPTED = "interrupted"
    """The person spoke again."""
    NOT_COMMITTED = "not_committed"
    """It was superseded before the commit: it was not run."""
    COMMITTED = "committed"
    """It was superseded after the commit: it may have run."""
    TORN = "torn"
    """The ear was killed during the utterance, so its end is missing."""
    STORAGE_FAILED = "storage_failed"
    """Its commit could not be recorded, so it was not run."""
    KILLED = "killed"
    """The ear was killed at a point after which it must not be sent again."""
    STOPPING = "stopping"
    """The ear is being stopped."""
    NO_AUDIO = "no_audio"
    """The backend reports that it received no sound."""
    NOT_UNDERSTOOD = "not_understood"
    """The backend recognised no words."""
    STT_UNAVAILABLE = "stt_unavailable"
    """The backend's speech recogniser is unavailable, possibly for a minute."""
    STT_FAILED = "stt_failed"
    """The backend's speech recogniser failed on this utterance."""
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    """The backend answers another ear that heard the same words."""
    BACKEND_TIMEOUT = "backend_timeout"
    """A service behind the backend timed out."""
    BACKEND_ERROR = "backend_error"
    """Any other failure of the backend."""


_PHRASES: Final[Mapping[str, Cause]] = {
    "no audio received": Cause.NO_AUDIO,
    "could not understand": Cause.NOT_UNDERSTOOD,
    "stt service not available": Cause.STT_UNAVAILABLE,
    "fetch failed": Cause.STT_UNAVAILABLE,
    "transcription failed": Cause.STT_FAILED,
    "aborted due to timeout": Cause.BACKEND_TIMEOUT,
    "answered elsewhere": Cause.ANSWERED_ELSEWHERE,
}
"""Phrases in the backend's error texts, in the order in which they are searched."""


def cause_of(error_text: str) -> Cause:
    """Return the code for the backend's error text, which itself is never passed on."""
    text = error_text.lower()
    return next(
        (cause for phrase, cause in _PHRASES.items() if phrase in text), Cause.BACKEND_ERROR
    )


class Verdict(StrEnum):
    """How an utterance ended. Every captured utterance ends in exactly one of these."""

    DONE = "done"
    """Run, and the reply was declared complete; ``missing`` counts chunks that did not come."""
    FAILED = "failed"
    """Refused by the backend, or never sent: a stop, a storage failure or invalid sound."""
    EXPIRED = "expired"
    """Too old before the commit: not run, because a late command is worse than none."""
    IN_DOUBT = "in_doubt"
    """The link was lost around the commit: it may have run, so it is never sent again."""
    REPLY_LOST = "reply_lost"
    """The backend accepted it, but its reply did not come (whole)."""
    REPLACED = "replaced"
    """The person spoke again before the commit: not run."""
    ABANDONED = "abandoned"
    """Committed; then the person spoke again, or the ear was stopped."""
    SUPERSEDED = "superseded"
    """The person continued to speak: the whole sentence is another turn, ``Finished.successor``."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The link to the backend is up and authenticated."""

    url: str
    after_s: float | None
    """Seconds since it was lost; None the first time."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link to the backend is down. Emitted once per outage."""

    reason: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The utterance is committed: ``audio_end`` was handed to the socket."""

    turn_id: str
    raw_bytes: int
    wav_bytes: int
    base64_bytes: int
    """0 on a wire that carries binary sound."""


@dataclass(frozen=True, slots=True)
class ProcessingStarted:
    """The backend processes the utterance: the proof of delivery."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class PartlyTranscribed:
    """Partial transcript, often while the person is still speaking."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Transcribed:
    """Final transcript."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingStarted:
    """The backend asked ``provider`` for the reply."""

    turn_id: str
    provider: str


@dataclass(frozen=True, slots=True)
class Answered:
    """Text of the reply, from a backend that sends it."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """One chunk of the spoken reply, in playing order."""

    turn_id: str
    index: int
    """Position in the reply. Indexes rise; a missing one was never synthesised."""
    content_type: str
    audio: bytes = field(repr=False)
    """Encoded sound (WAV of any rate, or as ``content_type`` says)."""


@dataclass(frozen=True, slots=True)
class ChunksMissing:
    """Chunks of the reply that will not be played: they did not come, or came too late."""

    turn_id: str
    indexes: tuple[int, ...]
    """Positions in the reply, from 0, rising. Never empty."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is over. Exactly one per utterance, always the last event of its turn."""

    turn_id: str
    verdict: Verdict
    code: str
    """Machine-readable cause, empty if the verdict is ``DONE``: never the backend's own text."""
    chunks: int
    """Chunks of the spoken reply that were passed on."""
    missing: int = 0
    """Chunks of the reply that did not come."""
    successor: str = ""
    """Id of the turn with the whole sentence, if the verdict is ``SUPERSEDED``."""
    follow_up: bool = False
    """Whether the backend asks the ear to listen after the reply."""
    volume: VolumeRequest = UNCHANGED
    """What it asks of the volume of replies."""
    away: str = ""
    """Why there was no link to the backend, in English, if the utterance waited for one until it
    was too old."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The ear stops before the commit; the utterance is on file, and the next run delivers it.

    The last event of its turn in this run; ``Finished`` comes in the next one.
    """

    turn_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The backend refused it with a reason, before running it; it is retried after a delay."""

    turn_id: str
    code: str
    """Machine-readable cause: never the backend's own text."""
    retry_s: float
    """Minimum seconds until the retry."""


@dataclass(frozen=True, slots=True)
class StillWaiting:
    """The person spoke again, but this is still sent first, as ``backend.waiting`` demands."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class UnaskedSpeech:
    """Speech without a turn that is not an announcement. Emitted once per burst."""

    chunks: int
    """Chunks in that burst, at least 1."""


@dataclass(frozen=True, slots=True)
class Announced:
    """An announcement: speech that belongs to no turn, complete."""

    turn_id: str
    """Id of the announcement; it is not a turn."""
    sounds: tuple[ReplyAudio, ...]
    """At least one, in playing order."""
    missing: int = 0
    """Chunks that did not come."""
    follow_up: bool = False
    """Whether the ear listens after it."""

    @property
    def bytes(self) -> int:
        """Size of its sound."""
        return sum(len(sound.audio) for sound in self.sounds)


TurnEvent: TypeAlias = (
    Sent
    | Refused
    | StillWaiting
    | ProcessingStarted
    | PartlyTranscribed
    | Transcribed
    | ThinkingStarted
    | Answered
    | ReplyAudio
    | ChunksMissing
    | Finished
    | Kept
)
LinkEvent: TypeAlias = LinkUp | LinkDown
DeliveryEvent: TypeAlias = TurnEvent | LinkEvent | UnaskedSpeech | Announced
