"""Spool: utterances on file, so that after a kill none is lost and none is repeated."""

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from jarvis_ear import config, paths
from jarvis_ear.delivery.events import Finished
from jarvis_ear.delivery.transitions import Guarantee, SpoolState
from jarvis_ear.delivery.utterance import MAX_PCM_BYTES, Utterance
from jarvis_ear.errors import AlreadyRunning
from jarvis_ear.journal.life import SPOOL_TROUBLE, SPOOL_UNMARKED
from jarvis_ear.log.throttle import WARN_S, Throttle
from jarvis_ear.paths import PrivateFolder, write_all
from jarvis_ear.spool import record
from jarvis_ear.spool.ledger import Ledger, os_error_text
from jarvis_ear.spool.recovery import OPEN, CurrentRun, Place, Recovered, SpoolScan

_LOGGER = logging.getLogger(__name__)

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class BootClock:
    """Seconds since boot. A value: any thread may call it.

    The clock runs while the machine sleeps, and neither a person nor NTP sets it.
    """

    boot_id: str
    """Id of the boot: seconds of different boots cannot be compared."""

    @classmethod
    def of_this_machine(cls) -> Self:
        """Return the clock of this boot. Without a boot id, every start counts as a new boot."""
        try:
            return cls(_BOOT_ID.read_text().strip())
        except OSError:
            return cls(secrets.token_hex(16))

    def __call__(self) -> float:
        """Return the time."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class Spool:
    """Keeps utterances for the next run. This base class keeps none; ``DiskSpool`` keeps files.

    The network thread only; no method raises. What cannot be kept is delivered from memory.
    """

    on_disk = False
    """Whether utterances in progress are kept."""

    @property
    def kept(self) -> Collection[str]:
        """Turns that the next run will deliver."""
        return ()

    def begin(self, fresh_s: float, guarantee: Guarantee) -> Recovered:  # noqa: ARG002 - for files
        """Return what an earlier run left behind. Called before all other methods."""
        return Recovered()

    def extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        """Append to an utterance in progress."""

    def discard(self, turn_id: str) -> None:
        """Remove a discarded utterance. If that fails, it is retried later."""

    def keep(self, utterance: Utterance) -> None:
        """Keep a complete utterance."""

    def set_state(self, turn_id: str, state: SpoolState) -> bool:  # noqa: ARG002 - for files
        """Record its state; return False if a later start might still send what is ``SENT``."""
        return True

    def finish(self, finished: Finished) -> None:
        """Record a verdict, and then remove the utterance."""

    def heard(self, turn_id: str, heard: str, why: str) -> None:
        """Record how much of a reply was heard, after its verdict."""

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was reached."""
        return {}


MAX_OPEN: Final = 4
"""Open files: one person speaks at a time, so more mean that an end was not reported."""

_LOCK: Final = "lock"


class DiskSpool(Spool):
    """One file for each utterance without a verdict, in folders named after its state.

    Created and locked by the main thread, then used by the network thread only. No method but
    ``lock`` raises: what cannot be written is delivered from memory, with one warning a minute;
    what is on file and cannot be recorded as sent is not delivered, with an error for each. At
    most 16 utterances and 16 MiB, like the outbox, which decides which one is dropped.
    """

    on_disk = True

    def __init__(self, folder: Path, ledger: Ledger, clock: BootClock) -> None:
        self._path = folder
        self._ledger = ledger
        self._clock = clock
        self._resources = ExitStack()
        self._folders: dict[str, PrivateFolder] = {}
        self._places: dict[str, Place] = {}
        self._unremoved: dict[str, Place] = {}
        self._warnings = Throttle(WARN_S, WARN_S)
        self.failures = 0
        """Number of failed writes."""
        self.foreign = 0
        """Files that a start found and did not touch."""

    @property
    def kept(self) -> Collection[str]:
        """Turns that the next run will deliver."""
        return {turn_id for turn_id, place in self._places.items() if place.folder != OPEN}

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was reached."""
        return {
            "spool_failures": self.failures,
            "spool_foreign_files": self.foreign,
            "ledger_unwritten": self._ledger.unwritten,
        }

    def lock(self) -> None:
        """Lock the folder, or raise ``AlreadyRunning``; if it is unusable, keep nothing."""
        with self._log_failure(), ExitStack() as opened:
            base = opened.enter_context(PrivateFolder(self._path))
            fd = base.open(_LOCK, os.O_RDWR | os.O_CREAT)
            opened.callback(os.close, fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(
                    f"another jarvis-ear is running with the folder {self._path}: stop it, or "
                    "give this one its own folder with spool.dir"
                ) from None
            self._folders = {
                str(name): opened.enter_context(PrivateFolder(self._path / name))
                for name in (OPEN, *SpoolState)
            }
            self._resources = opened.pop_all()

    def close(self) -> None:
        """Release the folders, so that another process can lock them."""
        self._folders.clear()
        self._resources.close()
        self._ledger.close()

    def begin(self, fresh_s: float, guarantee: Guarantee) -> Recovered:
        """Return what an earlier run left behind. Called before all other methods."""
        if not self._folders:
            return Recovered()
        known = {turn: at for turn, at in self._places.items() if at.folder == OPEN}
        run = CurrentRun(self._clock.boot_id, self._clock(), fresh_s, guarantee)
        scan = SpoolScan(self._folders, known | self._unremoved, run, self._ledger.recorded())
        recovered = scan.recover()
        self._places = {
            turn: at for turn, at in scan.places.items() if self._unremoved.get(turn) != at
        }
        self.foreign += scan.foreign
        if scan.foreign:
            reason = f"{scan.foreign} files are not records of the spool, and are left alone"
            self._warn("unexpected files in the spool in %s: %s", reason)
        return recovered

    def extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        """Append to an utterance in progress."""
        if not self._folders:
            return
        with self._log_failure(turn_id):  # it would be unknown how much of it was written
            self._extend(turn_id, offset, pcm)

    def discard(self, turn_id: str) -> None:
        """Remove a discarded utterance. If that fails, it is retried later."""
        place = self._places.pop(turn_id, None) or self._unremoved.pop(turn_id, None)
        if place is None:
            return
        with self._log_failure():
            try:
                self._folders[place.folder].remove(place.name)
            except OSError:
                self._unremoved[turn_id] = place
                raise

    def keep(self, utterance: Utterance) -> None:
        """Keep a complete utterance."""
        if not self._folders or not record.fits(utterance):
            return
        with self._log_failure(utterance.turn_id):  # a part of it would count as torn
            self._keep(utterance)

    def set_state(self, turn_id: str, state: SpoolState) -> bool:
        """Record its state; return False if a later start might still send what is ``SENT``.

        That is so only if its file can be neither moved nor removed, and the ledger cannot be
        written: each of the three would prevent it.
        """
        place = self._places.get(turn_id) or self._unremoved.get(turn_id)
        if place is None or place.folder == state:
            return True
        with self._log_failure():
            self._move(turn_id, place, state)
            return True
        if state is not SpoolState.SENT or self._ledger.committed(turn_id):
            return True
        self.discard(turn_id)
        if turn_id not in self._unremoved:
            return True
        fields = SPOOL_UNMARKED.fields(PLACE=self._path, TURN_ID=turn_id)
        text = (
            "turn %s is not sent: neither %s nor the ledger can be written, and after a restart it "
            "could be sent twice; make them writable, or set spool.dir to a folder that is"
        )
        _LOGGER.error(text, turn_id, self._path, extra=fields)
        return False

    def finish(self, finished: Finished) -> None:
        """Record a verdict, and then remove the utterance."""
        self._ledger.verdict(finished)
        for turn_id in (finished.turn_id, *self._unremoved):
            self.discard(turn_id)

    def heard(self, turn_id: str, heard: str, why: str) -> None:
        """Record how much of a reply was heard, after its verdict."""
        self._ledger.heard(turn_id, heard, why)

    def _open(self, turn_id: str) -> Place:
        self.discard(turn_id)
        in_progress = [turn for turn, place in self._places.items() if place.folder == OPEN]
        for unfinished in in_progress[: max(0, len(in_progress) - MAX_OPEN + 1)]:
            self.discard(unfinished)
        now = self._clock()
        name = record.name_of(turn_id, now)
        self._folders[OPEN].remove(name)
        self._folders[OPEN].append(name, record.open_header(turn_id, self._clock.boot_id, now))
        self._places[turn_id] = Place(OPEN, name)
        return self._places[turn_id]

    def _extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        place = self._open(turn_id) if offset == 0 else self._places.get(turn_id)
        end = offset + len(pcm)
        if place is None or place.folder != OPEN or place.written != offset or end > MAX_PCM_BYTES:
            return
        self._folders[OPEN].append(place.name, pcm)
        self._places[turn_id] = replace(place, written=end)

    def _keep(self, utterance: Utterance) -> None:
        """Write the missing sound, then the header, which completes the record; then move it."""
        turn_id, pcm = utterance.turn_id, utterance.pcm
        place = self._places.get(turn_id)
        if place is None or place.folder != OPEN or place.written > len(pcm):
            place = self._open(turn_id)
        fd = self._folders[OPEN].open(place.name, os.O_RDWR)
        try:
            os.lseek(fd, record.RECORD_HEADER_BYTES + place.written, os.SEEK_SET)
            write_all(fd, pcm[place.written :])
            os.ftruncate(fd, record.RECORD_HEADER_BYTES + len(pcm))
            os.pwrite(fd, record.closed_header(utterance, self._clock.boot_id), 0)
        finally:
            os.close(fd)
        self._move(turn_id, place, SpoolState.NEW)

    def _move(self, turn_id: str, place: Place, state: SpoolState) -> None:
        self._folders[place.folder].move(place.name, self._folders[state])
        self._places[turn_id] = Place(str(state), place.name)
        self._unremoved.pop(turn_id, None)

    @contextmanager
    def _log_failure(self, discard: str = "") -> Iterator[None]:
        """Log and count an ``OSError``; if it is given, ``discard`` the turn that it spoiled."""
        try:
            yield
        except OSError as error:
            if discard:
                self.discard(discard)
            self.failures += 1
            if self._warnings.allows(self._clock()):
                text = "the spool in %s cannot be used, utterances are kept in memory only: %s"
                self._warn(text, os_error_text(error))

    def _warn(self, text: str, reason: str) -> None:
        fields = SPOOL_TROUBLE.fields(PLACE=self._path, REASON=reason)
        _LOGGER.warning(text, self._path, reason, extra=fields)


@contextmanager
def kept_spool(options: config.SpoolOptions) -> Iterator[Spool]:
    """Lock the spool folder at once, so that a second ear fails at its start."""
    if not options.enabled:
        yield Spool()
        return
    clock = BootClock.of_this_machine()
    ledger = Ledger(options.ledger_dir or paths.state_folder(os.environ), clock)
    spool = DiskSpool(options.dir or paths.spool_folder(os.environ), ledger, clock)
    with closing(spool):
        spool.lock()
        yield spool
