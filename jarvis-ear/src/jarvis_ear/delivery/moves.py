"""The life of an utterance as a table: stages, what can happen, and where that leads.

The commit is the moment before ``audio_end`` is sent: from there on the backend may run the
command whatever becomes of the link. One sign leads back from there: a refusal before the
transcript, because the backend understands an utterance before it runs anything.

``AT_MOST_ONCE`` never sends again what perhaps ran; ``AT_LEAST_ONCE`` does, and may run it twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, TypeAlias

from jarvis_ear.delivery.cause import Cause
from jarvis_ear.delivery.events import Verdict


class Stage(StrEnum):
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


class Sign(StrEnum):
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
class Move:
    """One step of a turn: where it leads, and what it ends in when it leads to the end."""

    to: Stage
    verdict: Verdict | None = None
    cause: Cause | None = None
    """None: whoever gave the sign knows it."""
    link: After = After.KEEP


def _end(verdict: Verdict, cause: Cause | None, link: After = After.KEEP) -> Move:
    return Move(Stage.OVER, verdict, cause, link)


_AGAIN: Final = Move(Stage.WAITING, link=After.REPLACE)

_BEFORE_COMMIT: Final[Mapping[Sign, Move]] = {
    Sign.PROCESSING: Move(Stage.DELIVERED),  # a backend that cuts recordings at 30 s runs them then
    Sign.REFUSED: _AGAIN,  # nothing ran
    Sign.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None, After.REPLACE),
    Sign.TIMED_OUT: _AGAIN,
    Sign.LINK_LOST: Move(Stage.WAITING),
    Sign.STALE: _end(Verdict.EXPIRED, Cause.TOO_OLD, After.REPLACE),
    Sign.OVERFLOWED: _end(Verdict.EXPIRED, Cause.OUTBOX_FULL, After.REPLACE),
    Sign.ABANDONED: _end(Verdict.REPLACED, None, After.REPLACE),
    Sign.STOPPED: _end(Verdict.FAILED, None, After.REPLACE),
}

_AFTER_DELIVERY: Final[Mapping[Sign, Move]] = {
    Sign.PROCESSING: Move(Stage.DELIVERED),
    Sign.PROGRESS: Move(Stage.ANSWERING),
    Sign.READY: _end(Verdict.DONE, Cause.NONE),
    Sign.REPLY_ENDED: _end(Verdict.DONE, Cause.NONE),
    Sign.REPLY_TOO_BIG: _end(Verdict.REPLY_LOST, Cause.REPLY_TOO_BIG, After.REPLACE),
    Sign.REFUSED: _AGAIN,  # before the transcript: nothing ran
    Sign.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None),
    Sign.TIMED_OUT: _end(Verdict.REPLY_LOST, Cause.NO_REPLY, After.REPLACE),
    Sign.LINK_LOST: _end(Verdict.REPLY_LOST, Cause.LINK_LOST),
    Sign.ABANDONED: _end(Verdict.ABANDONED, None, After.REPLACE),
    Sign.STOPPED: _end(Verdict.ABANDONED, None, After.REPLACE),
}

Moves: TypeAlias = Mapping[Stage, Mapping[Sign, Move]]

AT_MOST_ONCE: Final[Moves] = {
    Stage.WAITING: {
        Sign.LINK_UP: Move(Stage.OFFERED),
        Sign.STALE: _end(Verdict.EXPIRED, Cause.TOO_OLD),
        Sign.OVERFLOWED: _end(Verdict.EXPIRED, Cause.OUTBOX_FULL),
        Sign.ABANDONED: _end(Verdict.REPLACED, None),
        Sign.STOPPED: _end(Verdict.FAILED, None),
    },
    Stage.OFFERED: {**_BEFORE_COMMIT, Sign.READY: Move(Stage.UPLOADED)},
    Stage.UPLOADED: {**_BEFORE_COMMIT, Sign.FLUSHED: Move(Stage.FLUSHED)},
    Stage.FLUSHED: {
        **_BEFORE_COMMIT,
        Sign.MARKED: Move(Stage.COMMITTED),
        Sign.UNMARKED: _end(Verdict.FAILED, Cause.STORAGE_FAILED, After.REPLACE),
    },
    Stage.COMMITTED: {
        Sign.PROCESSING: Move(Stage.DELIVERED),
        Sign.PROGRESS: Move(Stage.ANSWERING),
        Sign.REFUSED: _AGAIN,  # nothing ran
        Sign.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None),
        Sign.TIMED_OUT: _end(Verdict.IN_DOUBT, Cause.NO_PROCESSING, After.REPLACE),
        Sign.LINK_LOST: _end(Verdict.IN_DOUBT, Cause.LINK_LOST),
        Sign.ABANDONED: _end(Verdict.ABANDONED, None, After.REPLACE),
        Sign.STOPPED: _end(Verdict.ABANDONED, None, After.REPLACE),
    },
    Stage.DELIVERED: _AFTER_DELIVERY,
    Stage.ANSWERING: {
        **_AFTER_DELIVERY,
        Sign.PROCESSING: Move(Stage.ANSWERING),
        Sign.REFUSED: _end(Verdict.FAILED, None, After.REPLACE),  # its sentences may still come
        Sign.REFUSED_FOR_GOOD: _end(Verdict.FAILED, None, After.REPLACE),
    },
    Stage.OVER: {},
}
"""A sign without an entry changes nothing: it is late, or it is not about this turn."""

AT_LEAST_ONCE: Final[Moves] = {
    **AT_MOST_ONCE,
    Stage.COMMITTED: {
        **AT_MOST_ONCE[Stage.COMMITTED],
        Sign.TIMED_OUT: _AGAIN,
        Sign.LINK_LOST: Move(Stage.WAITING),
    },
}
"""For an owner who would rather have a command run twice than not at all."""

UNCOMMITTED: Final = frozenset({Stage.WAITING, Stage.OFFERED, Stage.UPLOADED, Stage.FLUSHED})
"""Nothing can have run: the turn may be dropped, or offered again."""

AT_BACKEND: Final = frozenset({Stage.DELIVERED, Stage.ANSWERING})
"""The backend has it: only the reply is still to come."""
