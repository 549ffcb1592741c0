"""Delivery events: what happens to an utterance, and why.

Every event of a turn carries its ``turn_id``; late arrivals are recognised by id, never by timing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias


class Cause(StrEnum):
    """The codes of ``Finished``. They are part of the contract: add, never rename."""

    NONE = ""
    """All went well."""
    TOO_OLD = "too_old"
    """It waited for the link until nobody wanted it any more."""
    OUTBOX_FULL = "outbox_full"
    """Newer utterances needed its place."""
    TOO_LARGE = "too_large"
    """Its frame would exceed what the backend takes."""
    BAD_AUDIO = "bad_audio"
    """Empty, or not a whole number of samples."""
    LINK_LOST = "link_lost"
    """The link died at a moment after which it must not be sent again."""
    NO_PROCESSING = "no_processing"
    """The backend did not say that it works on it."""
    NO_REPLY = "no_reply"
    """The backend took it and fell silent, or did not come to an end."""
    REPLY_TOO_BIG = "reply_too_big"
    """More reply than anybody listens to."""
    INTERRUPTED = "interrupted"
    """The person said something newer."""
    TORN = "torn"
    """The ear was killed in mid-sentence: the end of it was never heard."""
    STORAGE_FAILED = "storage_failed"
    """It could not be written down that it may run, so it was not run."""
    KILLED = "killed"
    """The ear was killed at a moment after which it must not be sent again."""
    STOPPING = "stopping"
    """The ear is being stopped."""
    NO_AUDIO = "no_audio"
    """The backend says that no sound reached it."""
    NOT_UNDERSTOOD = "not_understood"
    """The backend heard no words."""
    STT_UNAVAILABLE = "stt_unavailable"
    """The backend's speech recogniser is down. It may stay so for a minute."""
    STT_FAILED = "stt_failed"
    """The backend's speech recogniser failed on this utterance."""
    BACKEND_TIMEOUT = "backend_timeout"
    """Something behind the backend took too long."""
    BACKEND_ERROR = "backend_error"
    """Any other failure of the backend."""


_PHRASES: Final[Mapping[str, Cause]] = {
    "no audio received": Cause.NO_AUDIO,
    "could not understand": Cause.NOT_UNDERSTOOD,
    "stt service not available": Cause.STT_UNAVAILABLE,
    "fetch failed": Cause.STT_UNAVAILABLE,
    "transcription failed": Cause.STT_FAILED,
    "aborted due to timeout": Cause.BACKEND_TIMEOUT,
}
"""What the backend's free texts contain, in the order in which they are looked for."""


def cause_of(error_text: str) -> Cause:
    """Return the code for the backend's own words, which are never passed on."""
    said = error_text.lower()
    return next(
        (cause for phrase, cause in _PHRASES.items() if phrase in said), Cause.BACKEND_ERROR
    )


class Verdict(StrEnum):
    """How an utterance ended. Every captured utterance ends in exactly one of these."""

    DONE = "done"
    """The backend ran it, and said that its reply is complete: ``missing`` says if it was not."""
    FAILED = "failed"
    """The backend said it cannot, or it never got it: a stop, storage, sound that is no sound."""
    EXPIRED = "expired"
    """Too old before it could be committed: not run, because a late command is worse than none."""
    IN_DOUBT = "in_doubt"
    """The link died around the commit: perhaps run, therefore never sent again."""
    REPLY_LOST = "reply_lost"
    """The backend took it, and its reply did not come (whole)."""
    REPLACED = "replaced"
    """The person said something newer before it could be committed: not run."""
    ABANDONED = "abandoned"
    """It was committed, and then the person said something newer, or the ear was stopped."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The link to the backend is up and authenticated."""

    url: str
    after_s: float | None
    """How long it was gone; None the first time."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link to the backend is not usable. Said once per outage."""

    reason: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The whole utterance is committed: ``audio_end`` was handed to the socket."""

    turn_id: str
    raw_bytes: int
    wav_bytes: int
    base64_bytes: int
    """0 on a wire that takes sound as it is."""


@dataclass(frozen=True, slots=True)
class ProcessingStarted:
    """The backend has the utterance and works on it: the proof of delivery."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class PartlyTranscribed:
    """What the backend has understood so far, often while the person is still speaking."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What the backend understood."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingStarted:
    """The backend asked its brain."""

    turn_id: str
    provider: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The reply in letters, from a backend that says them."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """One piece of the spoken reply, in playing order."""

    turn_id: str
    index: int
    """Its place in the reply. Indexes rise; one that is missing was never synthesised."""
    content_type: str
    audio: bytes
    """An encoded sound file (WAV of any rate, or what ``content_type`` says)."""


@dataclass(frozen=True, slots=True)
class SentencesMissing:
    """Sentences of the reply that will not be heard: they did not come, or not in time."""

    turn_id: str
    indexes: tuple[int, ...]
    """Their places in the reply, counted from 0, rising. Never empty."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is over. Exactly one per utterance, always the last event of its turn."""

    turn_id: str
    verdict: Verdict
    code: str
    """Machine-readable cause, empty when the verdict is ``DONE``: never the backend's own text."""
    chunks: int
    """Pieces of spoken reply that were passed on."""
    missing: int = 0
    """Sentences that the reply should have had, and that did not come."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The ear stops before this was committed: it is on file, and the next start goes on with it.

    The last event of its turn in this life; ``Finished`` comes in the next one.
    """

    turn_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The backend did not run it and said why; it is sent a second time after a moment."""

    turn_id: str
    code: str
    """Machine-readable cause: never the backend's own text."""
    retry_s: float
    """Seconds until the second attempt, at least."""


@dataclass(frozen=True, slots=True)
class StillWaiting:
    """The person said something newer, and this is sent before it: the owner wants both."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class UnaskedSpeech:
    """The backend sent speech while no turn waited for a reply. Said once per burst."""

    chunks: int
    """Sentences in that burst, at least 1."""


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
    | SentencesMissing
    | Finished
    | Kept
)
LinkEvent: TypeAlias = LinkUp | LinkDown
DeliveryEvent: TypeAlias = TurnEvent | LinkEvent | UnaskedSpeech
