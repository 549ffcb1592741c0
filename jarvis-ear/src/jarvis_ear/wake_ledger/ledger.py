"""WakeLedger: cuts clips out of what the ear hears, and has a thread write them."""

import logging
import os
import queue
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, Self

from jarvis_ear.audio.frames import Frame
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import HearingOptions
from jarvis_ear.hearing.events import Effect, NearMiss, State, StateChanged, TurnOpened
from jarvis_ear.hearing.near_misses import LONGEST_STRETCH
from jarvis_ear.journal.life import WAKE_LEDGER, WAKE_LEDGER_TROUBLE
from jarvis_ear.log.throttle import Throttle
from jarvis_ear.process import NamedThread
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE, Samples, frames, samples, seconds
from jarvis_ear.wake_ledger.clips import FOLDER, NEAR_MISS, WAKE, Clip, ClipFolder, iso_time

_LOGGER = logging.getLogger(__name__)

BEFORE: Final = samples(3000)
"""Sound of a clip before the score, which depends on 2.3 s: the wake model has a window of 1.3 s,
its networks another 0.8 s, and the verifier hears 0.24 s more."""

AFTER: Final = samples(1000)
"""Sound of a clip after it."""

KEPT_MS: Final = 1000 * (BEFORE + LONGEST_STRETCH + AFTER) // SAMPLE_RATE + 1000
"""Sound that is kept for clips: a near miss is known only after its stretch."""

MAX_WAITING: Final = 8
"""Clips that wait for the writer: more than people say in the time that a disk takes to wake."""

LOOK_S: Final = 3600.0
"""Seconds between two looks for clips that are too old."""

WARN_S: Final = 3600.0
"""Seconds between two warnings: a full disk stays full for a while, and nothing else depends on
it."""

STOP_S: Final = 2.0
"""Seconds to wait for the writer at a stop."""

MB: Final = 1_000_000


class _Due(NamedTuple):
    """A clip whose sound is not complete yet."""

    until: Samples
    clip: Clip


class WakeLedger:
    """Keeps clips of wake words and near misses while ``hearing.wake_ledger.enabled`` is set.

    The ear thread calls ``hear`` and ``after``, which never block, and the main thread ``change``;
    the thread "wake ledger" alone uses the folder. Bound: ``MAX_WAITING`` clips wait for it.
    Policy: a further one is dropped. Counter: ``clips_dropped``. On file there are at most
    ``max_mb`` and ``max_days``; the oldest clips go. A clip that cannot be written is counted
    (``clips_unwritten``), with one warning an hour. A mute, or a microphone that is lost, drops the
    sound before it.
    """

    def __init__(
        self,
        options: HearingOptions,
        state_folder: Path,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self._options = options
        self._path = state_folder / FOLDER
        self._wall = wall
        self._new_id = new_id
        self._monotonic = monotonic
        self._recent: deque[Frame] = deque(maxlen=frames(KEPT_MS))
        self._due: deque[_Due] = deque(maxlen=MAX_WAITING)
        self._queue: queue.SimpleQueue[tuple[Clip, bytes] | None] = queue.SimpleQueue()
        self._thread = NamedThread(target=self._run, name="wake ledger", daemon=True)
        self._folder: ClipFolder | None = None
        self._kept: deque[Clip] = deque()  # the clips on file, oldest first
        self._warnings = Throttle(WARN_S, WARN_S)
        self._is_stopping = False
        self.dropped = 0
        """Clips that the writer could not take in time."""
        self.unwritten = 0
        """Clips that could not be written."""

    def counters(self) -> Mapping[str, int]:
        """Return how many clips were lost. Any thread."""
        return {"clips_dropped": self.dropped, "clips_unwritten": self.unwritten}

    def change(self, options: HearingOptions) -> None:
        """Use other options from now on; start the writer if it is needed now. Main thread."""
        before, self._options = self._options, options
        if options.wake_ledger.enabled and options.wake_ledger != before.wake_ledger:
            self._start()

    def __enter__(self) -> Self:
        if self._options.wake_ledger.enabled:
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.ident is not None:
            self._is_stopping = True
            self._queue.put(None)
            self._thread.join(STOP_S)

    def _start(self) -> None:
        """Start the writer, or have it apply the new limits."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._queue.put(None)

    def hear(self, frame: Frame) -> None:
        """Note the next frame, after its effects. Ear thread."""
        if not self._options.wake_ledger.enabled:
            self._forget()
            return
        self._recent.append(frame)
        while self._due and self._due[0].until <= frame.end:
            self._hand_over(self._due.popleft())

    def after(self, effect: Effect) -> None:
        """Note an effect of the ear. Ear thread."""
        if not self._options.wake_ledger.enabled:
            return
        match effect:
            case TurnOpened(turn_id, score=float()):
                self._expect(turn_id, WAKE, effect)
            case NearMiss():
                self._expect(self._new_id(), NEAR_MISS, effect)
            case StateChanged(_, State.MUTED | State.DEAF):
                self._forget()

    def _expect(self, clip_id: str, kind: str, heard: TurnOpened | NearMiss) -> None:
        now = self._recent[-1].end if self._recent else heard.at
        at, sound = heard.at, heard.sound
        level, floor, clipped = (None, None, None)
        if sound is not None:
            level, floor = round(sound.level, 1), round(sound.noise_floor, 1)
            clipped = round(100 * sound.clipped, 2)
        clip = Clip(
            id=clip_id,
            kind=kind,
            time=iso_time(self._wall() - max(0.0, seconds(now - at))),
            score=round(heard.score or 0.0, 3),
            threshold=heard.word.threshold or self._options.wake.least_score,
            word=heard.word.name,
            level_dbfs=level,
            noise_floor_dbfs=floor,
            clipped_percent=clipped,
            seconds=0.0,
        )
        self.dropped += len(self._due) == MAX_WAITING
        self._due.append(_Due(Samples(at + AFTER), clip))

    def _hand_over(self, due: _Due) -> None:
        if self._queue.qsize() >= MAX_WAITING:
            self.dropped += 1
            return
        first = due.until - AFTER - BEFORE
        pcm = b"".join(
            frame.pcm for frame in self._recent if frame.end > first and frame.start < due.until
        )
        self._queue.put((due.clip, pcm))

    def _forget(self) -> None:
        if self._recent or self._due:
            self._recent.clear()
            self._due.clear()

    def _run(self) -> None:
        """Write clips until the stop; ``None`` in the queue asks for a look at the limits."""
        try:
            self._report()
            while not (self._is_stopping and self._queue.empty()):
                self._step()
        finally:
            self._close()

    def _step(self) -> None:
        try:
            item = self._queue.get(timeout=LOOK_S)
        except queue.Empty:
            if self._options.wake_ledger.enabled:
                self._apply(self._prune, 0)
            return
        if item is not None:
            self.unwritten += not self._apply(self._write, *item)
        elif self._options.wake_ledger.enabled and not self._is_stopping:
            self._report()

    def _apply(self, work: Callable[..., None], *arguments: object) -> bool:
        """Use the folder; return whether that was possible, or warn."""
        try:
            work(*arguments)
        except OSError as error:
            self._close()  # the next use opens it anew
            if self._warnings.allows(self._monotonic()):
                reason = os.strerror(error.errno).lower() if error.errno else str(error)
                fields = WAKE_LEDGER_TROUBLE.fields(PLACE=self._path, REASON=reason)
                text = "the wake ledger in %s cannot be written, and the ear runs on without it: %s"
                _LOGGER.warning(text, self._path, reason, extra=fields)
            return False
        return True

    def _report(self) -> None:
        """Say where the clips are, how many there are, and what limits them."""
        if not self._apply(self._prune, 0):
            return
        options = self._options.wake_ledger
        now_mb = sum(map(_size, self._kept)) / MB
        text = (
            "the wake ledger keeps the sound of wake words and near misses in %s: at most %d MB and"
            " %d days, now %d clips and %.1f MB; jarvis-ear events purge removes them"
        )
        limits = (options.max_mb, options.max_days, len(self._kept), now_mb)
        _LOGGER.info(text, self._path, *limits, extra=WAKE_LEDGER.fields(PLACE=self._path))

    def _write(self, clip: Clip, pcm: bytes) -> None:
        clip = replace(clip, seconds=round(seconds(len(pcm) // SAMPLE_BYTES), 2))
        self._prune(_size(clip))
        self._open().add(clip, pcm_to_wav(pcm))
        self._kept.append(clip)

    def _prune(self, more: int) -> None:
        """Remove the oldest clips that are too old, or leave no room for ``more`` bytes."""
        folder, options = self._open(), self._options.wake_ledger
        oldest = self._wall() - 86_400 * options.max_days
        size = sum(map(_size, self._kept)) + more
        while self._kept and (size > options.max_mb * MB or self._kept[0].began_at < oldest):
            folder.remove(self._kept[0].id)
            size -= _size(self._kept.popleft())

    def _open(self) -> ClipFolder:
        if self._folder is None:
            self._folder = ClipFolder(self._path)
            self._folder.remove_torn()
            self._kept = deque(self._folder.all())
        return self._folder

    def _close(self) -> None:
        if self._folder is not None:
            self._folder.close()
            self._folder = None


def _size(clip: Clip) -> int:
    """Return about as many bytes as the clip has on file: its sound, and a block for its record."""
    return int(clip.seconds * SAMPLE_RATE) * SAMPLE_BYTES + 4096
