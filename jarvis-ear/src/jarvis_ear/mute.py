"""Mute: who closed the microphone, kept over restarts."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final, Self

from jarvis_ear.journal import life as kinds
from jarvis_ear.paths import read_regular, write_whole

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the clock on the wall to another, over midnight if need be.

    Only the reading of the clock counts, so days of 23 and of 25 hours need no rule of their own.
    """

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read "23:00-07:00", which the options have checked; None for an empty text."""
        begin, _, end = text.partition("-")
        return cls(time.fromisoformat(begin), time.fromisoformat(end)) if text else None

    def night(self, wall: datetime) -> date | None:
        """Return the day on which the quiet hours around ``wall`` began; None outside of them."""
        now = wall.time()
        if self.begin <= now and (now < self.end or self.end < self.begin):
            return wall.date()
        if self.end < self.begin and now < self.end:
            return wall.date() - timedelta(days=1)
        return None


OWNER: Final = "owner"
"""Whoever types `jarvis-ear mute`."""

CLOCK: Final = "clock"
"""The quiet hours that are configured."""

BUS: Final = "bus"
"""Whoever switches the module `audio` on the event bus."""

FILE: Final = "mute.json"

MAX_BYTES: Final = 4096
"""Ten times what we write."""


class Mute:
    """Decides whether the ear is closed. Any thread may ask and tell.

    It is closed while anybody wants it: the owner until the owner opens it, the clock in its hours,
    others until they themselves let go. The owner opens it whoever closed it; quiet hours that the
    owner has ended stay ended until the next night. Every change is on disk before it is confirmed.
    If the file cannot be understood the ear stays closed: who muted it may rely on that.

    ``on_change`` is called, under the lock, when the ear is to close (True) or to open.
    """

    def __init__(
        self,
        folder: Path,
        quiet_hours: QuietHours | None,
        *,
        on_change: Callable[[bool], None],
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._path = folder / FILE
        self._quiet_hours = quiet_hours
        self._on_change = on_change
        self._wall = wall
        self._lock = threading.Lock()
        self._by: frozenset[str] = frozenset()
        self._awake_night = ""  # quiet hours that the owner has ended
        self.stored = True
        """Whether the last change is on disk."""

    @property
    def by(self) -> tuple[str, ...]:
        """Who wants the ear closed; nobody: it is open."""
        return tuple(sorted(self._by))

    @property
    def until(self) -> str:
        """The time on the wall at which the ear opens by itself; empty: it does not."""
        if self._quiet_hours is None or self._by != {CLOCK}:
            return ""
        return f"{self._quiet_hours.end:%H:%M}"

    def load(self) -> bool:
        """Remember what was so before, and return whether the ear starts closed. Once."""
        with self._lock:
            try:
                told = json.loads(read_regular(self._path, MAX_BYTES)[0])
                self._by = frozenset(map(str, told["by"]))
                self._awake_night = str(told["awake_night"])
            except FileNotFoundError:
                pass
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                told = kinds.MUTE_UNSURE.told(PLACE=self._path, REASON=error)
                words = "%s cannot be read, so the ear stays muted: %s"
                _LOGGER.warning(words, self._path, error, extra=told)
                self._by = frozenset({OWNER})
            self._by = self._with_clock(self._by)
            return bool(self._by)

    def change(self, quiet_hours: QuietHours | None) -> None:
        """Go on with other quiet hours; the next look acts on them."""
        with self._lock:
            self._quiet_hours = quiet_hours

    def mute(self, by: str = OWNER) -> None:
        """Close the ear, until ``by`` lets go or the owner opens it."""
        with self._lock:
            self._set(self._by | {by})

    def unmute(self, by: str = OWNER) -> None:
        """Let go; the owner opens it for everybody."""
        with self._lock:
            if by != OWNER:
                self._set(self._by - {by})
                return
            self._awake_night = self._night()
            self._set(frozenset())

    def toggle(self) -> None:
        """Do what the owner would do by pressing the only button."""
        if self._by:
            self.unmute()
        else:
            self.mute()

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Tell ``listener`` who wants the ear closed, before any change after this."""
        with self._lock:
            listener(self.by)

    def look(self) -> None:
        """Look at the clock: several times a minute, or quiet hours begin late."""
        with self._lock:
            by = self._with_clock(self._by)
            if by != self._by:
                self._set(by)

    def _with_clock(self, by: AbstractSet[str]) -> frozenset[str]:
        night = self._night()
        quiet = bool(night) and night != self._awake_night
        return frozenset(by | {CLOCK} if quiet else by - {CLOCK})

    def _night(self) -> str:
        night = self._quiet_hours and self._quiet_hours.night(self._wall())
        return night.isoformat() if night else ""

    def _set(self, by: AbstractSet[str]) -> None:
        was, self._by = self._by, frozenset(by)
        if self._by and not was:
            self._change(muted=True)
        self._store()
        if was and not self._by:
            self._change(muted=False)

    def _change(self, *, muted: bool) -> None:
        if muted:
            by = ", ".join(self.by)
            told = kinds.MUTED.told(MUTED_BY=by)
            _LOGGER.info("muted by the %s: the microphone is closed", by, extra=told)
        else:
            _LOGGER.info("not muted any more", extra=kinds.UNMUTED.told())
        self._on_change(muted)

    def _store(self) -> None:
        told = {"by": sorted(self._by - {CLOCK}), "awake_night": self._awake_night}
        try:
            write_whole(self._path, json.dumps(told))
        except OSError as error:
            self.stored = False
            unsure = kinds.MUTE_UNSURE.told(PLACE=self._path, REASON=error)
            _LOGGER.warning("a restart will not know who muted the ear: %s", error, extra=unsure)
        else:
            self.stored = True
