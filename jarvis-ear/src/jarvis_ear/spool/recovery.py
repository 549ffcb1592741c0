"""Recovery: what a start finds in the folders of an earlier run."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from jarvis_ear.delivery import utterance as record
from jarvis_ear.delivery.events import Finished
from jarvis_ear.delivery.outbox import MAX_BYTES, MAX_UTTERANCES
from jarvis_ear.delivery.recovery import CurrentRun, Recovered, dropped_for_newer, lost, recover
from jarvis_ear.delivery.transitions import SpoolState
from jarvis_ear.delivery.utterance import Past, Utterance
from jarvis_ear.paths import PrivateFolder
from jarvis_ear.spool.ledger import COMMITTED

OPEN: Final = "tmp"
"""The folder of utterances in progress; the others are named after ``SpoolState``."""

MAX_FOUND: Final = 256
"""Files per folder that a start reads; the spool never leaves more than a tenth of that."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the file of a turn is."""

    folder: str
    name: str
    written: int = 0
    """Bytes of sound in it, while it is open."""


class SpoolScan:
    """Reads every file once. Created and used by one ``begin`` of the spool; network thread.

    ``ours`` are files of this run, which are skipped. A file that cannot be read is skipped as
    well; one that can be read but not moved still counts.
    """

    def __init__(
        self,
        folders: Mapping[str, PrivateFolder],
        ours: Mapping[str, Place],
        present: CurrentRun,
        recorded: Mapping[str, str],
    ) -> None:
        self._folders = folders
        self._present = present
        self._recorded = recorded
        self.places = dict(ours)
        """Where each turn without a recorded verdict is."""
        self.foreign = 0
        """Files that are not records of the spool."""

    def take(self) -> Recovered:
        """Return the utterances to deliver, oldest first, and the verdicts."""
        found = list(self._left_behind())
        waiting = [each for each in found if isinstance(each, Utterance)]
        waiting.sort(key=lambda utterance: utterance.ended_at)
        return Recovered(
            tuple(waiting), tuple(each for each in found if isinstance(each, Finished))
        )

    def _left_behind(self) -> Iterator[Utterance | Finished]:
        """Visit the furthest stage first: if a turn exists twice, that file counts."""
        room = [MAX_UTTERANCES, MAX_BYTES]
        for folder in (SpoolState.TAKEN, SpoolState.SENT, SpoolState.NEW, OPEN):
            for name in reversed(self._records(str(folder))):  # the newest keep their place
                found = self._look(Place(str(folder), name))
                if isinstance(found, Utterance):
                    room = [room[0] - 1, room[1] - len(found.wav)]
                    yield found if min(room) >= 0 else dropped_for_newer(found.turn_id)
                elif found is not None:
                    yield found

    def _records(self, folder: str) -> list[str]:
        with suppress(OSError):
            names = self._folders[folder].names()
            ours = [name for name in names if record.NAME.fullmatch(name)]
            self.foreign += len(names) - len(ours)
            return ours[-MAX_FOUND:]
        return []

    def _look(self, place: Place) -> Utterance | Finished | None:
        try:
            data = self._folders[place.folder].read(
                place.name, record.RECORD_HEADER_BYTES + record.MAX_PCM_BYTES + 1
            )
        except OSError:  # a link, a folder, a pipe, or unreadable: not a record
            self.foreign += 1
            return None
        return self._judge(place, data)

    def _judge(self, place: Place, data: bytes) -> Utterance | Finished | None:
        try:
            header = record.read_header(data)
        except record.NotARecord:
            header = None
        turn_id = place.name[-8:] if header is None else header.turn_id
        ours = self.places.get(turn_id)
        if ours is not None and (ours.folder, ours.name) == (place.folder, place.name):
            return None  # an utterance in progress, or a finished one that could not be removed
        known = self._recorded.get(turn_id)
        if turn_id in self.places or known not in (None, COMMITTED):
            self._remove(place)  # its verdict is known
            return None
        self.places[turn_id] = place
        if header is None:
            return lost(turn_id)
        mark = SpoolState.NEW if place.folder == OPEN else SpoolState(place.folder)
        if known == COMMITTED and mark is SpoolState.NEW:
            mark = SpoolState.SENT
        if mark is not SpoolState.NEW and isinstance(
            end := recover(mark, header, self._present), Finished
        ):
            return end
        return self._read(place, data, mark)

    def _read(self, place: Place, data: bytes, mark: SpoolState) -> Utterance | Finished:
        header = record.read_header(data)
        try:
            utterance = record.read(data, Past.NEW)
        except record.Torn:
            return lost(header.turn_id)
        past = recover(mark, header, self._present)
        if isinstance(past, Finished):
            return past
        if place.folder == OPEN:
            self._promote(header.turn_id, place)
        return replace(utterance, past=past)

    def _promote(self, turn_id: str, place: Place) -> None:
        with suppress(OSError):
            self._folders[OPEN].move(place.name, self._folders[SpoolState.NEW])
            self._replaced(Place(str(SpoolState.NEW), place.name))
            self.places[turn_id] = Place(str(SpoolState.NEW), place.name)

    def _replaced(self, place: Place) -> None:
        """Forget another turn whose file had this name: its end must not touch ours."""
        self.places = {turn: other for turn, other in self.places.items() if other != place}

    def _remove(self, place: Place) -> None:
        with suppress(OSError):
            self._folders[place.folder].remove(place.name)
