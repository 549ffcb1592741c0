"""Transitions: the state table of one utterance's delivery, and its effects."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, TypeAlias

from jarvis_ear.delivery.events import Announced, Cause, TurnEvent, UnaskedSpeech, Verdict
from jarvis_ear.wires.messages import AudioChunk, AudioEnd, AudioPart, AudioStart


class SpoolState(StrEnum):
    """States that a recovery after a kill must distinguish. Part of the spool's format."""

    NEW = "new"
    """It cannot have run: it may be sent."""
    HELD = "held"
    """It cannot have run, and its sentence continues: it must not be sent."""
    SENT = "sent"
    """It may have run; not confirmed."""
    TAKEN = "taken"
    """The backend has accepted it."""


class UploadMode(Enum):
    """How utterances are uploaded; fixed for each wire."""

    WHOLE = "whole"
    """In one message with base64, when the utterance is complete."""
    BINARY = "binary"
    """In one message without base64, when the utterance is complete."""
    STREAMED = "streamed"
    """In parts, possibly while the person is still speaking."""


class DeliveryStage(StrEnum):
    """Stage of a turn."""

    WAITING = "waiting"
    """Waiting for a link, or for earlier turns."""
    OFFERED = "offered"
    """``audio_start`` is sent; the backend has not answered."""
    UPLOADED = "uploaded"
    """The sound is being handed to the socket. It cannot run yet."""
    FLUSHED = "flushed"
    """The socket has the sound; the commit is being recorded. It cannot run yet."""
    COMMITTED = "committed"
    """``audio_end`` is sent: it may run now, and is never sent again."""
    DELIVERED = "delivered"
    """The backend has it and processes it."""
    ANSWERING = "answering"
    """The backend transcribed it: tools may run, and chunks may come."""
    OVER = "over"
    """It has its verdict."""


class Signal(StrEnum):
    """What happened to a turn."""

    LINK_UP = "link up"
    READY = "backend ready"
    FLUSHED = "sound handed to the socket"
    RECORDED = "commit recorded"
    NOT_RECORDED = "commit cannot be recorded"
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
    ABANDONED = "abandoned"
    SUPERSEDED = "superseded"
    STOPPED = "the ear is stopped"


@dataclass(frozen=True, slots=True)
class DeliveryTransition:
    """One step of a turn: the next stage, and the verdict if that is the last one."""

    to: DeliveryStage
    verdict: Verdict | None = None
    cause: Cause | None = None
    """None: given with the signal."""
    replaces_link: bool = False
    """Whether the link is dropped: more of this turn may still arrive, or the peer is silent."""


def _end(verdict: Verdict, cause: Cause | None) -> DeliveryTransition:
    return DeliveryTransition(DeliveryStage.OVER, verdict, cause)


def _end_and_replace(verdict: Verdict, cause: Cause | None) -> DeliveryTransition:
    return DeliveryTransition(DeliveryStage.OVER, verdict, cause, replaces_link=True)


_SUPERSEDED: Final = _end_and_replace(Verdict.SUPERSEDED, Cause.COMMITTED)
_AGAIN: Final = DeliveryTransition(DeliveryStage.WAITING, replaces_link=True)

_BEFORE_COMMIT: Final[Mapping[Signal, DeliveryTransition]] = {
    # a backend that cuts recordings at 30 s runs them then
    Signal.PROCESSING: DeliveryTransition(DeliveryStage.DELIVERED),
    Signal.REFUSED: _AGAIN,  # nothing ran
    Signal.REFUSED_FOR_GOOD: _end_and_replace(Verdict.FAILED, None),
    Signal.TIMED_OUT: _AGAIN,
    Signal.LINK_LOST: DeliveryTransition(DeliveryStage.WAITING),
    Signal.STALE: _end_and_replace(Verdict.EXPIRED, Cause.TOO_OLD),
    Signal.OVERFLOWED: _end_and_replace(Verdict.EXPIRED, Cause.OUTBOX_FULL),
    Signal.ABANDONED: _end_and_replace(Verdict.REPLACED, None),
    Signal.SUPERSEDED: _end_and_replace(Verdict.SUPERSEDED, Cause.NOT_COMMITTED),
    Signal.STOPPED: _end_and_replace(Verdict.FAILED, None),
}

_AFTER_DELIVERY: Final[Mapping[Signal, DeliveryTransition]] = {
    Signal.PROCESSING: DeliveryTransition(DeliveryStage.DELIVERED),
    Signal.PROGRESS: DeliveryTransition(DeliveryStage.ANSWERING),
    Signal.READY: _end(Verdict.DONE, Cause.NONE),
    Signal.REPLY_ENDED: _end(Verdict.DONE, Cause.NONE),
    Signal.REPLY_TOO_BIG: _end_and_replace(Verdict.REPLY_LOST, Cause.REPLY_TOO_BIG),
    Signal.REFUSED: _AGAIN,  # before the transcript: nothing ran
    Signal.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None),
    Signal.TIMED_OUT: _end_and_replace(Verdict.REPLY_LOST, Cause.NO_REPLY),
    Signal.LINK_LOST: _end(Verdict.REPLY_LOST, Cause.LINK_LOST),
    Signal.ABANDONED: _end_and_replace(Verdict.ABANDONED, None),
    Signal.SUPERSEDED: _SUPERSEDED,
    Signal.STOPPED: _end_and_replace(Verdict.ABANDONED, None),
}

TransitionTable: TypeAlias = Mapping[DeliveryStage, Mapping[Signal, DeliveryTransition]]

AT_MOST_ONCE: Final[TransitionTable] = {
    DeliveryStage.WAITING: {
        Signal.LINK_UP: DeliveryTransition(DeliveryStage.OFFERED),
        Signal.STALE: _end(Verdict.EXPIRED, Cause.TOO_OLD),
        Signal.OVERFLOWED: _end(Verdict.EXPIRED, Cause.OUTBOX_FULL),
        Signal.ABANDONED: _end(Verdict.REPLACED, None),
        Signal.SUPERSEDED: _end(Verdict.SUPERSEDED, Cause.NOT_COMMITTED),
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
        Signal.RECORDED: DeliveryTransition(DeliveryStage.COMMITTED),
        Signal.NOT_RECORDED: _end_and_replace(Verdict.FAILED, Cause.STORAGE_FAILED),
    },
    DeliveryStage.COMMITTED: {
        Signal.PROCESSING: DeliveryTransition(DeliveryStage.DELIVERED),
        Signal.PROGRESS: DeliveryTransition(DeliveryStage.ANSWERING),
        Signal.REFUSED: _AGAIN,  # nothing ran
        Signal.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None),
        Signal.TIMED_OUT: _end_and_replace(Verdict.IN_DOUBT, Cause.NO_PROCESSING),
        Signal.LINK_LOST: _end(Verdict.IN_DOUBT, Cause.LINK_LOST),
        Signal.ABANDONED: _end_and_replace(Verdict.ABANDONED, None),
        Signal.SUPERSEDED: _SUPERSEDED,
        Signal.STOPPED: _end_and_replace(Verdict.ABANDONED, None),
    },
    DeliveryStage.DELIVERED: _AFTER_DELIVERY,
    DeliveryStage.ANSWERING: {
        **_AFTER_DELIVERY,
        Signal.PROCESSING: DeliveryTransition(DeliveryStage.ANSWERING),
        Signal.REFUSED: _end_and_replace(Verdict.FAILED, None),  # its chunks may still come
        Signal.REFUSED_FOR_GOOD: _end_and_replace(Verdict.FAILED, None),
    },
    DeliveryStage.OVER: {},
}
"""A signal without an entry changes nothing: it is late, or for another turn."""

AT_LEAST_ONCE: Final[TransitionTable] = {
    **AT_MOST_ONCE,
    DeliveryStage.COMMITTED: {
        **AT_MOST_ONCE[DeliveryStage.COMMITTED],
        Signal.TIMED_OUT: _AGAIN,
        Signal.LINK_LOST: DeliveryTransition(DeliveryStage.WAITING),
    },
}
"""For owners who prefer a command that runs twice to one that does not run."""


class Guarantee(StrEnum):
    """How often a command may run."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"

    @property
    def transitions(self) -> TransitionTable:
        """Transition table for this guarantee."""
        return AT_LEAST_ONCE if self is Guarantee.AT_LEAST_ONCE else AT_MOST_ONCE


UNCOMMITTED: Final = frozenset(
    {DeliveryStage.WAITING, DeliveryStage.OFFERED, DeliveryStage.UPLOADED, DeliveryStage.FLUSHED}
)
"""It cannot have run: the turn may be dropped, or offered again."""

HELD_BACK: Final = frozenset({Signal.READY, Signal.FLUSHED, Signal.RECORDED})
"""Signals that lead to the commit: they wait while a turn is held."""

AT_BACKEND: Final = frozenset({DeliveryStage.DELIVERED, DeliveryStage.ANSWERING})
"""The backend has it: only the reply is outstanding."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to the backend, in order."""

    message: AudioStart | AudioPart | AudioEnd


@dataclass(frozen=True, slots=True)
class Upload:
    """Send a message to the backend, and report when the socket has accepted all of it."""

    message: AudioChunk | AudioPart


@dataclass(frozen=True, slots=True)
class Replace:
    """Drop the link so that nothing more arrives on it, and reconnect at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class SetState:
    """Record the state of this utterance in the spool, before the next effect.

    The outbox must get the result for ``SpoolState.SENT``: what is not recorded is not sent.
    """

    turn_id: str
    state: SpoolState


@dataclass(frozen=True, slots=True)
class Emit:
    """Report an event to the rest of the ear."""

    event: TurnEvent | UnaskedSpeech | Announced


Effect: TypeAlias = Send | Upload | Replace | SetState | Emit
