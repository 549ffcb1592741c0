"""Recovery: what a start does with the utterances of an earlier run."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from jarvis_ear.delivery.events import Cause, Finished, Verdict
from jarvis_ear.delivery.outbox import MAX_BYTES, MAX_UTTERANCES
from jarvis_ear.delivery.transitions import Guarantee, SpoolState
from jarvis_ear.delivery.utterance import MAX_PCM_BYTES, Past, Utterance
from jarvis_ear.paths import PrivateFolder
from jarvis_ear.spool import record
from jarvis_ear.spool.ledger import COMMITTED

OPEN: Final = "tmp"
"""The folder of utterances in progress; the others are named after ``SpoolState``."""

MAX_FOUND: Final = 256
"""Files per folder that a start reads; the spool never leaves more than a tenth of that."""


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run that finds the utterances."""

    boot_id: str
    now: float
    """Seconds since boot."""
    fresh_s: float
    """Age from which an utterance is not sent."""
    guarantee: Guarantee


@dataclass(frozen=True, slots=True)
class Recovered:
    """Utterances and verdicts left by an earlier run."""

    utterances: tuple[Utterance, ...] = ()
    """To be delivered, oldest first."""
    ended: tuple[Finished, ...] = ()
    """Verdicts not yet reported."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the file of a turn is."""

    folder: str
    name: str
    written: int = 0
    """Bytes of sound in it, while it is open."""


_ENDS: Final = {
    SpoolState.NEW: (Verdict.EXPIRED, Cause.TOO_OLD),
    SpoolState.HELD: (Verdict.SUPERSEDED, Cause.NOT_COMMITTED),
    SpoolState.SENT: (Verdict.IN_DOUBT, Cause.KILLED),
    SpoolState.TAKEN: (Verdict.REPLY_LOST, Cause.KILLED),
}


def recover(state: SpoolState, header: record.Header, run: CurrentRun) -> Past | Finished:
    """Return its past if it is to be sent, else its verdict. Of an earlier boot, it is too old."""
    if header.boot_id == run.boot_id and 0 <= run.now - header.ended_at < run.fresh_s:
        if state is SpoolState.NEW:
            return Past.NEW
        if state is SpoolState.SENT and run.guarantee is Guarantee.AT_LEAST_ONCE:
            return Past.PERHAPS_RAN
    return _finished(header.turn_id, *_ENDS[state])


class SpoolScan:
    """Reads every file once. Created and used by one ``begin`` of the spool; network thread.

    Files at ``known`` places belong to this run and are skipped. A file that cannot be read is
    skipped as well; one that can be read but not moved still counts.
    """

    def __init__(
        self,
        folders: Mapping[str, PrivateFolder],
        known: Mapping[str, Place],
        run: CurrentRun,
        recorded: Mapping[str, str],
    ) -> None:
        self._folders = folders
        self._run = run
        self._recorded = recorded
        self.places = dict(known)
        """Where each turn without a recorded verdict is."""
        self.foreign = 0
        """Files that are not records of the spool."""

    def recover(self) -> Recovered:
        """Return the utterances to deliver, oldest first, and the verdicts."""
        found = list(self._found())
        utterances = [each for each in found if isinstance(each, Utterance)]
        utterances.sort(key=lambda utterance: utterance.ended_at)
        return Recovered(
            tuple(utterances), tuple(each for each in found if isinstance(each, Finished))
        )

    def _found(self) -> Iterator[Utterance | Finished]:
        """Visit the furthest state first: if a turn exists twice, that file counts."""
        room = [MAX_UTTERANCES, MAX_BYTES]
        for folder in (*reversed(SpoolState), OPEN):
            for name in reversed(self._records(str(folder))):  # the newest keep their place
                found = self._read(Place(str(folder), name))
                if isinstance(found, Utterance):
                    room = [room[0] - 1, room[1] - len(found.wav)]
                    if min(room) < 0:
                        found = _finished(found.turn_id, Verdict.EXPIRED, Cause.OUTBOX_FULL)
                if found is not None:
                    yield found

    def _records(self, folder: str) -> list[str]:
        with suppress(OSError):
            names = self._folders[folder].names()
            records = [name for name in names if record.NAME.fullmatch(name)]
            self.foreign += len(names) - len(records)
            return records[-MAX_FOUND:]
        return []

    def _read(self, place: Place) -> Utterance | Finished | None:
        """Return what to do with a file; None: nothing, because its turn is known."""
        try:
            data = self._folders[place.folder].read(
                place.name, record.RECORD_HEADER_BYTES + MAX_PCM_BYTES + 1
            )
        except OSError:  # a link, a folder, a pipe, or unreadable: not a record
            self.foreign += 1
            return None
        try:
            header = record.read_header(data)
            turn_id = header.turn_id
        except record.NotARecord:
            header, turn_id = None, place.name[-8:]
        known, ended = self.places.get(turn_id), self._recorded.get(turn_id)
        if known is not None and (known.folder, known.name) == (place.folder, place.name):
            return None  # an utterance in progress, or a finished one that could not be removed
        if known is not None or ended not in (None, COMMITTED):
            with suppress(OSError):
                self._folders[place.folder].remove(place.name)
            return None
        self.places[turn_id] = place
        if header is None:
            return _finished(turn_id, Verdict.FAILED, Cause.TORN)
        state = SpoolState.NEW if place.folder == OPEN else SpoolState(place.folder)
        if ended == COMMITTED and state is SpoolState.NEW:
            state = SpoolState.SENT
        return self._recover(place, data, state, header)

    def _recover(
        self, place: Place, data: bytes, state: SpoolState, header: record.Header
    ) -> Utterance | Finished:
        past = recover(state, header, self._run)
        if isinstance(past, Finished) and state is not SpoolState.NEW:
            return past
        try:
            utterance = record.read(data)
        except record.Torn:
            return _finished(header.turn_id, Verdict.FAILED, Cause.TORN)
        if isinstance(past, Finished):
            return past
        if place.folder == OPEN:
            self._move_to_new(header.turn_id, place.name)
        return replace(utterance, past=past)

    def _move_to_new(self, turn_id: str, name: str) -> None:
        with suppress(OSError):
            self._folders[OPEN].move(name, self._folders[SpoolState.NEW])
            new = Place(str(SpoolState.NEW), name)
            # forget another turn whose file had this name: its end must not touch this one
            self.places = {turn: place for turn, place in self.places.items() if place != new}
            self.places[turn_id] = new


def _finished(turn_id: str, verdict: Verdict, cause: Cause) -> Finished:
    return Finished(turn_id, verdict, cause.value, 0)
