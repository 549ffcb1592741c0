"""Recovery: what to do with an utterance that an earlier run of the ear left behind."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jarvis_ear.delivery.events import Cause, Finished, Verdict
from jarvis_ear.delivery.transitions import AT_LEAST_ONCE, AT_MOST_ONCE, SpoolState, TransitionTable
from jarvis_ear.delivery.utterance import Header, Past, Utterance


class Guarantee(StrEnum):
    """How often a command may run."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"

    @property
    def moves(self) -> TransitionTable:
        """Transition table for this guarantee."""
        return AT_LEAST_ONCE if self is Guarantee.AT_LEAST_ONCE else AT_MOST_ONCE


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run that finds the utterance."""

    boot_id: str
    now: float
    fresh_s: float
    promise: Guarantee

    def is_fresh(self, header: Header) -> bool:
        """Whether it is young enough to be sent. Utterances of an earlier boot are too old."""
        return header.boot_id == self.boot_id and 0 <= self.now - header.ended_at < self.fresh_s


@dataclass(frozen=True, slots=True)
class Recovered:
    """Utterances and verdicts left by an earlier run."""

    utterances: tuple[Utterance, ...] = ()
    """To be delivered, oldest first."""
    ended: tuple[Finished, ...] = ()
    """Verdicts not yet reported."""


_ENDS: Final = {
    SpoolState.NEW: (Verdict.EXPIRED, Cause.TOO_OLD),
    SpoolState.SENT: (Verdict.IN_DOUBT, Cause.KILLED),
    SpoolState.TAKEN: (Verdict.REPLY_LOST, Cause.KILLED),
}


def recover(mark: SpoolState, header: Header, present: CurrentRun) -> Past | Finished:
    """Return its past if it is to be sent, else its verdict."""
    if present.is_fresh(header):
        if mark is SpoolState.NEW:
            return Past.NEW
        if mark is SpoolState.SENT and present.promise is Guarantee.AT_LEAST_ONCE:
            return Past.PERHAPS_RAN
    verdict, cause = _ENDS[mark]
    return Finished(header.turn_id, verdict, cause.value, 0)


def lost(turn_id: str) -> Finished:
    """Return the verdict of an incomplete utterance."""
    return Finished(turn_id, Verdict.FAILED, Cause.TORN.value, 0)


def dropped_for_newer(turn_id: str) -> Finished:
    """Return the verdict of an utterance dropped to make room for newer ones."""
    return Finished(turn_id, Verdict.EXPIRED, Cause.OUTBOX_FULL.value, 0)
