"""Transitions: the state table of one utterance's delivery, and the effects it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, TypeAlias

from jarvis_ear.delivery.events import Cause, TurnEvent, UnaskedSpeech, Verdict
from jarvis_ear.wires.messages import AudioChunk, AudioEnd, AudioPart, AudioStart


class SpoolState(StrEnum):
    """The stages between which a killed ear must be able to tell. Part of the spool's format."""

    NEW = "new"
    """Nothing can have run: it may be sent."""
    SENT = "sent"
    """It may have run, and nobody has said so."""
    TAKEN = "taken"
    """The backend has it."""


class UploadMode(Enum):
    """Chosen with the wire, once."""

    WHOLE = "whole"
    """In one message, when the utterance is complete."""
    STREAMED = "streamed"
    """In parts, which may go up while the person is still speaking."""


class DeliveryStage(StrEnum):
    """Where a turn stands."""

    WAITING = "waiting"
    """For a link, or for the turns before it."""
    OFFERED = "offered"
    """``audio_start`` is sent; the backend has not answered."""
    UPLOADED = "uploaded"
    """The sound is on its way into the socket. Nothing can run yet."""
    FLUSHED = "flushed"
    """The socket has the sound. That it may run is written down now; nothing can run yet."""
    COMMITTED = "committed"
    """``audio_end`` is sent: it may run now, and is never sent again."""
    DELIVERED = "delivered"
    """The backend has it and works on it."""
    ANSWERING = "answering"
    """The backend understood it: tools may run, and sentences may come."""
    OVER = "over"
    """It has its verdict."""


class Signal(StrEnum):
    """What happened, as far as a turn is concerned."""

    LINK_UP = "link up"
    READY = "backend ready"
    FLUSHED = "sound handed to the socket"
    MARKED = "written down"
    UNMARKED = "cannot be written down"
    PROCESSING = "backend works on it"
    PROGRESS = "backend answers"
    REPLY_ENDED = "reply complete"
    REPLY_TOO_BIG = "reply too big"
    REFUSED = "backend refused it"
    REFUSED_FOR_GOOD = "backend refused it for good"
    LINK_LOST = "link lost"
    TIMED_OUT = "waited too long"
    STALE = "too old"
    OVERFLOWED = "outbox full"
    ABANDONED = "nobody wants it any more"
    STOPPED = "the ear is stopped"


class After(Enum):
    """What a move means for the link."""

    KEEP = "keep"
    REPLACE = "replace"
    """Something of this turn may still arrive, or the peer does not do its part."""


@dataclass(frozen=True, slots=True)
class DeliveryTransition:
    """One step of a turn: where it leads, and what it ends in when it leads to the end."""

    to: DeliveryStage
    verdict: Verdict | None = None
    cause: Cause | None = None
    """None: whoever gave the sign knows it."""
    link: After = After.KEEP


def _end(verdict: Verdict, cause: Cause | None, link: After = After.KEEP) -> DeliveryTransition:
    return DeliveryTransition(DeliveryStage.OVER, verdict, cause, link)


_AGAIN: Final = DeliveryTransition(DeliveryStage.WAITING, link=After.REPLACE)

_BEFORE_COMMIT: Final[Mapping[Signal, DeliveryTransition]] = {
    Signal.PROCESSING: DeliveryTransition(
        DeliveryStage.DELIVERED
    ),  # a backend that cuts recordings at 30 s runs them then
    Signal.REFUSED: _AGAIN,  # nothing ran
    Signal.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None, After.REPLACE),
    Signal.TIMED_OUT: _AGAIN,
    Signal.LINK_LOST: DeliveryTransition(DeliveryStage.WAITING),
    Signal.STALE: _end(Verdict.EXPIRED, Cause.TOO_OLD, After.REPLACE),
    Signal.OVERFLOWED: _end(Verdict.EXPIRED, Cause.OUTBOX_FULL, After.REPLACE),
    Signal.ABANDONED: _end(Verdict.REPLACED, None, After.REPLACE),
    Signal.STOPPED: _end(Verdict.FAILED, None, After.REPLACE),
}

_AFTER_DELIVERY: Final[Mapping[Signal, DeliveryTransition]] = {
    Signal.PROCESSING: DeliveryTransition(DeliveryStage.DELIVERED),
    Signal.PROGRESS: DeliveryTransition(DeliveryStage.ANSWERING),
    Signal.READY: _end(Verdict.DONE, Cause.NONE),
    Signal.REPLY_ENDED: _end(Verdict.DONE, Cause.NONE),
    Signal.REPLY_TOO_BIG: _end(Verdict.REPLY_LOST, Cause.REPLY_TOO_BIG, After.REPLACE),
    Signal.REFUSED: _AGAIN,  # before the transcript: nothing ran
    Signal.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None),
    Signal.TIMED_OUT: _end(Verdict.REPLY_LOST, Cause.NO_REPLY, After.REPLACE),
    Signal.LINK_LOST: _end(Verdict.REPLY_LOST, Cause.LINK_LOST),
    Signal.ABANDONED: _end(Verdict.ABANDONED, None, After.REPLACE),
    Signal.STOPPED: _end(Verdict.ABANDONED, None, After.REPLACE),
}

TransitionTable: TypeAlias = Mapping[DeliveryStage, Mapping[Signal, DeliveryTransition]]

AT_MOST_ONCE: Final[TransitionTable] = {
    DeliveryStage.WAITING: {
        Signal.LINK_UP: DeliveryTransition(DeliveryStage.OFFERED),
        Signal.STALE: _end(Verdict.EXPIRED, Cause.TOO_OLD),
        Signal.OVERFLOWED: _end(Verdict.EXPIRED, Cause.OUTBOX_FULL),
        Signal.ABANDONED: _end(Verdict.REPLACED, None),
        Signal.STOPPED: _end(Verdict.FAILED, None),
    },
    DeliveryStage.OFFERED: {
        **_BEFORE_COMMIT,
        Signal.READY: DeliveryTransition(DeliveryStage.UPLOADED),
    },
    DeliveryStage.UPLOADED: {
        **_BEFORE_COMMIT,
        Signal.FLUSHED: DeliveryTransition(DeliveryStage.FLUSHED),
    },
    DeliveryStage.FLUSHED: {
        **_BEFORE_COMMIT,
        Signal.MARKED: DeliveryTransition(DeliveryStage.COMMITTED),
        Signal.UNMARKED: _end(Verdict.FAILED, Cause.STORAGE_FAILED, After.REPLACE),
    },
    DeliveryStage.COMMITTED: {
        Signal.PROCESSING: DeliveryTransition(DeliveryStage.DELIVERED),
        Signal.PROGRESS: DeliveryTransition(DeliveryStage.ANSWERING),
        Signal.REFUSED: _AGAIN,  # nothing ran
        Signal.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None),
        Signal.TIMED_OUT: _end(Verdict.IN_DOUBT, Cause.NO_PROCESSING, After.REPLACE),
        Signal.LINK_LOST: _end(Verdict.IN_DOUBT, Cause.LINK_LOST),
        Signal.ABANDONED: _end(Verdict.ABANDONED, None, After.REPLACE),
        Signal.STOPPED: _end(Verdict.ABANDONED, None, After.REPLACE),
    },
    DeliveryStage.DELIVERED: _AFTER_DELIVERY,
    DeliveryStage.ANSWERING: {
        **_AFTER_DELIVERY,
        Signal.PROCESSING: DeliveryTransition(DeliveryStage.ANSWERING),
        Signal.REFUSED: _end(Verdict.FAILED, None, After.REPLACE),  # its sentences may still come
        Signal.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None, After.REPLACE),
    },
    DeliveryStage.OVER: {},
}
"""A sign without an entry changes nothing: it is late, or it is not about this turn."""

AT_LEAST_ONCE: Final[TransitionTable] = {
    **AT_MOST_ONCE,
    DeliveryStage.COMMITTED: {
        **AT_MOST_ONCE[DeliveryStage.COMMITTED],
        Signal.TIMED_OUT: _AGAIN,
        Signal.LINK_LOST: DeliveryTransition(DeliveryStage.WAITING),
    },
}
"""For an owner who would rather have a command run twice than not at all."""

UNCOMMITTED: Final = frozenset(
    {DeliveryStage.WAITING, DeliveryStage.OFFERED, DeliveryStage.UPLOADED, DeliveryStage.FLUSHED}
)
"""Nothing can have run: the turn may be dropped, or offered again."""

AT_BACKEND: Final = frozenset({DeliveryStage.DELIVERED, DeliveryStage.ANSWERING})
"""The backend has it: only the reply is still to come."""


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
    mark: SpoolState


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the rest of the ear."""

    event: TurnEvent | UnaskedSpeech


Effect: TypeAlias = Send | Upload | Replace | Note | Tell
