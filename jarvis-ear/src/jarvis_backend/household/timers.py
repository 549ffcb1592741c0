"""Timers and alarms: kept in a file, and announced in the room where they were set."""

import asyncio
import fcntl
import json
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from jarvis_backend.household.spoken_numbers import spoken_duration, spoken_time

_LOG: Final = logging.getLogger(__name__)

MAX_TIMERS: Final = 64
"""Timers and alarms of all rooms; one more is refused."""

NAME_LETTERS: Final = 60

POLL_S: Final = 5.0
"""Seconds after which the file is read again: another process of this backend may have changed it,
or a satellite may be back for which one waits."""

RETRY_S: Final = 0.5
"""Seconds after which a room is tried again that is not connected, or where somebody talks."""

ELSEWHERE_S: Final = 60.0
"""Seconds after its time at which a timer is announced in any room, if its own is not connected."""

KEEP_S: Final = 3600.0
"""Seconds after its time at which a timer is dropped that nobody could be told of."""

_LATE_S: Final = 90.0
"""Seconds from which an announcement says how long ago it was."""

FILE: Final = "timers.json"


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer or an alarm. Immutable."""

    room: str
    """The satellite that set it."""
    due: float
    """When it ends, in seconds since 1970."""
    name: str = ""
    """What the person called it; empty if they did not."""
    duration_s: float = 0.0
    """Its length; 0 for an alarm, which has a time of day."""
    timer_id: str = ""

    is_reminder: bool = False
    """Whether ``name`` is what to remind of."""

    @property
    def kind(self) -> str:
        """What people call it: "timer" has a length, "alarm" a time of day; or "reminder"."""
        return "reminder" if self.is_reminder else "timer" if self.duration_s else "alarm"

    def spoken(self) -> str:
        """Return what it is called: "pasta timer", "5 minute timer", "alarm for 7:00 AM"."""
        if not self.duration_s:
            name = f"{self.kind} to {self.name}" if self.is_reminder else f"{self.name} {self.kind}"
            return f"{name.strip() if self.name else self.kind} for {self._clock()}"
        if self.name:
            return f"{self.name} timer"
        length = spoken_duration(self.duration_s)
        return f"{length.removesuffix('s') if ' and ' not in length else length} timer"

    def announcement(self, now: float) -> str:
        """Return what is said when it ends."""
        late = f" {spoken_duration(now - self.due)} ago" if now - self.due > _LATE_S else ""
        if self.is_reminder:
            missed = f", due{late}" if late else ""
            return f"A reminder{missed}: {self.name or self._clock()}."
        if self.duration_s:
            return f"Your {self.spoken()} {f'ended{late}' if late else 'is over'}."
        name = f"{self.name} alarm" if self.name else "alarm"
        return f"Your {name} was due{late}." if late else f"It is {self._clock()}: your {name}."

    def _clock(self) -> str:
        return spoken_time(datetime.fromtimestamp(self.due).astimezone())


class TooManyTimers(Exception):
    """No further timer can be set."""


class TimerFile:
    """The timers of all rooms. Lives on the loop of its process.

    All processes of a backend share the file: each change reads and writes it under a lock. If it
    cannot be used, the timers of this process are kept in memory; a warning says so once.
    Bound: ``MAX_TIMERS``. Policy: one more is refused with TooManyTimers.
    """

    def __init__(self, folder: Path) -> None:
        """Keep ``timers.json`` in ``folder``, which is created with the first timer."""
        self._path = folder / FILE
        self._memory: list[Timer] = []
        self._is_usable = True

    def all(self) -> list[Timer]:
        """Return all timers, the next one first."""
        if self._is_usable and not self._path.exists():
            return []
        with self._changing() as timers:
            return sorted(timers, key=lambda timer: timer.due)

    def add(self, timer: Timer) -> Timer:
        """Add a timer and return it with its id. Raises TooManyTimers."""
        named = replace(timer, timer_id=secrets.token_hex(8))
        with self._changing() as timers:
            if len(timers) >= MAX_TIMERS:
                raise TooManyTimers
            timers.append(named)
        return named

    def remove(self, timer: Timer) -> bool:
        """Remove a timer; False if another process has, or if it was removed before."""
        with self._changing() as timers:
            left = [each for each in timers if each.timer_id != timer.timer_id]
            was_there = len(left) < len(timers)
            timers[:] = left
        return was_there

    @contextmanager
    def _changing(self) -> Iterator[list[Timer]]:
        """Yield the timers under the lock; what the caller makes of them is stored."""
        with self._lock() as fd:
            timers = self._memory if fd is None else _parsed(_read(fd))
            before = list(timers)
            yield timers
            if fd is None or timers == before:
                return
            try:
                self._store(timers)
            except OSError as error:
                self._give_up(error)
                self._memory = timers

    @contextmanager
    def _lock(self) -> Iterator[int | None]:
        """Yield the open file, or None if timers are only in memory."""
        fd = None
        while self._is_usable and fd is None:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
                fcntl.flock(fd, fcntl.LOCK_EX)
                if not self._is_current(fd):  # replaced while we waited
                    os.close(fd)
                    fd = None
            except OSError as error:
                self._give_up(error)
        try:
            yield fd
        finally:
            if fd is not None:
                os.close(fd)

    def _is_current(self, fd: int) -> bool:
        try:
            return self._path.stat().st_ino == os.fstat(fd).st_ino
        except FileNotFoundError:
            return False

    def _store(self, timers: list[Timer]) -> None:
        """Replace the file at once, so that a sudden end leaves the old or the new one."""
        new = self._path.with_name(f".{FILE}.new")
        text = json.dumps([asdict(timer) for timer in timers])
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._path)

    def _give_up(self, error: OSError) -> None:
        self._is_usable = False
        _LOG.warning(
            "timers are lost at a restart: %s: %s; expected a folder that this program may write "
            "(state_dir)",
            self._path,
            error.strerror or error,
        )


def _read(fd: int) -> str:
    with open(fd, encoding="utf-8", errors="replace", closefd=False) as file:
        return file.read()


def _parsed(text: str) -> list[Timer]:
    """Return the timers of a file; what is no timer is left out."""
    try:
        rows = json.loads(text) if text else []
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        _LOG.warning("%s is damaged, its timers are lost", FILE)
        return []
    timers = []
    for row in rows[:MAX_TIMERS]:
        match row:
            case {
                "room": str(room),
                "due": int() | float() as due,
                "name": str(name),
                "duration_s": int() | float() as length,
                "timer_id": str(timer_id),
                "is_reminder": bool(is_reminder),
            }:
                timers.append(
                    Timer(room, float(due), name, float(length), timer_id, is_reminder=is_reminder)
                )
            case _:
                _LOG.warning("%s has an entry that is no timer", FILE)
    return timers


class Announcer(Protocol):
    """Speaks in rooms without being asked. Lives on the loop."""

    def can_speak(self, room: str) -> bool:
        """Return whether ``room`` is connected and nobody talks to it; empty: any room."""
        ...

    async def announce(self, room: str, text: str) -> None:
        """Speak ``text`` in ``room``; empty: in any room."""


class TimerRunner:
    """Announces timers when they end. Lives on the loop."""

    def __init__(self, file: TimerFile, now: Callable[[], float]) -> None:
        """Watch ``file``; ``now`` is the wall clock, in seconds since 1970."""
        self._file = file
        self._now = now
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Look at the timers now: one was added or removed."""
        self._changed.set()

    def start(self, announcer: Announcer) -> None:
        """Start to watch."""
        self._task = asyncio.create_task(self._run(announcer))

    async def aclose(self) -> None:
        """Stop. The timers stay in the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, announcer: Announcer) -> None:
        while True:
            self._changed.clear()
            timers = self._file.all()
            for timer in timers:
                if timer.due <= self._now():
                    await self._end(timer, announcer)
            wait_s = min([POLL_S, *(max(timer.due - self._now(), RETRY_S) for timer in timers)])
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                pass  # one has ended, or the file may have changed

    async def _end(self, timer: Timer, announcer: Announcer) -> None:
        """Announce a timer that has ended; it is removed first, so that it is announced once."""
        late_s = self._now() - timer.due
        rooms = [timer.room] if late_s <= ELSEWHERE_S else [timer.room, ""]
        room = next((each for each in rooms if announcer.can_speak(each)), None)
        if room is not None and self._file.remove(timer):
            await announcer.announce(room, timer.announcement(self._now()))
        elif late_s > KEEP_S and self._file.remove(timer):
            _LOG.warning("a timer ended %.0f s ago, and nobody could be told", late_s)
