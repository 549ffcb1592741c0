"""Mute: who muted the microphone and until when, stored across restarts."""

import json
import logging
import math
import re
import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final, Self

from jarvis_ear.journal import life as kinds
from jarvis_ear.paths import read_object, write_whole

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily period in wall-clock time, which may include midnight. A value.

    Only the wall-clock time counts, so days of 23 and of 25 hours need no special rule.
    """

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse "23:00-07:00", which the options have validated; None for an empty text."""
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


DAY_S: Final = 24 * 3600

LONGEST_S: Final = DAY_S + 3600
"""Maximum seconds of a timed mute: until the same time of the next day, when clocks go back."""

_LENGTH: Final = re.compile(r"(?:([0-9]{1,2})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,5})s)?")
_TIME: Final = re.compile(r"(?:until +)?([01]?[0-9]|2[0-3]):([0-5][0-9])")


def mute_seconds(text: str, now: datetime) -> int:
    """Return the seconds of a timed mute: "90s", "30m", "1h30m", or "until 07:30" from ``now`` on.

    A length is at most a day, the result at most ``LONGEST_S``. Raises ``ValueError`` for any other
    text. ``now`` is the wall-clock time, without a time zone.
    """
    if found := _TIME.fullmatch(text):
        hour, minute = map(int, found.groups())
        end = now.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
        if end <= now:
            end += timedelta(days=1)
        return math.ceil(end.timestamp() - now.timestamp())
    found = _LENGTH.fullmatch(text)
    hours, minutes, seconds = (
        (int(number or 0) for number in found.groups()) if found else (0, 0, 0)
    )
    length_s = 3600 * hours + 60 * minutes + seconds
    if not 0 < length_s <= DAY_S:
        raise ValueError("expected 30m, 2h, 1h30m, 90s or until 07:30, at most 24h")
    return length_s


OWNER: Final = "owner"
"""The person who types `jarvis-ear mute`."""

CLOCK: Final = "clock"
"""The configured quiet hours."""

BUS: Final = "bus"
"""A client that switches the module `audio` on the event bus."""

BROKER: Final = "broker"
"""A client of the MQTT broker that switches the ear off."""

FILE: Final = "mute.json"

MAX_BYTES: Final = 4096
"""Ten times the size of what is written."""


class Mute:
    """Decides whether the ear is muted. Any thread may use it.

    The ear is muted while at least one party wants it: the owner until the owner unmutes or a given
    time is over, the clock during quiet hours, others until they unmute. The owner's unmute
    overrides all; quiet hours that the owner has ended stay ended until the next night. A change is
    written to disk before the call returns. If the file cannot be read the ear stays muted, because
    a user may rely on that. A timed mute ends by the wall clock, which runs between two starts too.
    """

    def __init__(
        self,
        folder: Path,
        quiet_hours: QuietHours | None,
        *,
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._path = folder / FILE
        self._quiet_hours = quiet_hours
        self._on_change: Callable[[bool], None] = lambda _muted: None
        self._wall = wall
        self._lock = threading.Lock()
        self._by: frozenset[str] = frozenset()
        self._ends_at: float | None = None  # the owner's mute, in seconds since 1970
        self._awake_night = ""  # quiet hours that the owner has ended
        self.stored = True
        """Whether the last change is on disk."""

    @property
    def by(self) -> tuple[str, ...]:
        """Who muted the ear; empty: it is not muted."""
        return tuple(sorted(self._by))

    @property
    def until(self) -> str:
        """Wall-clock time at which the mute ends; empty: it has no end.

        It has seconds in the last minute of a timed mute.
        """
        by, ends_at, hours = self._by, self._ends_at, self._quiet_hours
        if not by or not by <= {OWNER, CLOCK} or (OWNER in by and ends_at is None):
            return ""
        end = datetime.fromtimestamp(ends_at) if OWNER in by and ends_at else self._wall()  # noqa: DTZ006 - on the wall
        is_quiet = hours is not None and hours.night(end) and self._night(end) != self._awake_night
        if hours and is_quiet:
            return f"{hours.end:%H:%M}"
        left = end - self._wall()
        return f"{end:%H:%M:%S}" if timedelta() < left < timedelta(minutes=1) else f"{end:%H:%M}"

    def connect(self, on_change: Callable[[bool], None]) -> None:
        """Call ``on_change``, under the lock, when the ear has to mute (True) or unmute (False)."""
        self._on_change = on_change

    def load(self) -> bool:
        """Load the stored state, and return whether the ear starts muted. Call it once."""
        with self._lock:
            try:
                fields = read_object(self._path, MAX_BYTES)
                self._by = frozenset(map(str, fields["by"]))
                self._awake_night = str(fields["awake_night"])
                ends_at = fields.get("ends_at")
                self._ends_at = None if ends_at is None else float(ends_at)
            except FileNotFoundError:
                pass
            except (OSError, ValueError, KeyError, TypeError) as error:
                fields = kinds.MUTE_UNSURE.fields(PLACE=self._path, REASON=error)
                words = "%s cannot be read, so the ear stays muted: %s"
                _LOGGER.warning(words, self._path, error, extra=fields)
                self._by, self._ends_at = frozenset({OWNER}), None
            self._by = self._now(self._by)
            if self._by:
                self._log_muted("stays closed")
            return bool(self._by)

    def change(self, quiet_hours: QuietHours | None) -> None:
        """Set other quiet hours; the next ``look`` applies them."""
        with self._lock:
            self._quiet_hours = quiet_hours

    def mute(self, by: str = OWNER, for_s: float | None = None) -> None:
        """Mute the ear, until ``by`` or the owner unmutes it.

        The owner's mute ends after ``for_s`` seconds; None: it has no end. The owner's last
        word counts, so a timed mute replaces one without an end.
        """
        with self._lock:
            was, old = bool(self._by), self._ends_at
            if by == OWNER:
                self._ends_at = None if for_s is None else self._wall().timestamp() + for_s
            self._set(self._by | {by})
            if was and self._ends_at != old:
                self._log_muted("is closed")

    def unmute(self, by: str = OWNER) -> None:
        """Remove the mute of ``by``; the owner removes all."""
        with self._lock:
            if by != OWNER:
                self._set(self._by - {by})
                return
            self._awake_night = self._night(self._wall())
            self._set(frozenset())

    def toggle(self) -> None:
        """Unmute as the owner if the ear is muted, else mute it."""
        if self._by:
            self.unmute()
        else:
            self.mute()

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call ``listener`` with who muted the ear, before any later change."""
        with self._lock:
            listener(self.by)

    def look(self) -> None:
        """Apply the time; call it several times a minute, or a mute begins and ends late."""
        with self._lock:
            by = self._now(self._by)
            if by != self._by:
                self._set(by)

    def _now(self, by: AbstractSet[str]) -> frozenset[str]:
        """Return who of ``by`` mutes the ear at this time, the clock included."""
        wall = self._wall()
        if self._ends_at is not None and wall.timestamp() >= self._ends_at:
            by = by - {OWNER}
        night = self._night(wall)
        quiet = bool(night) and night != self._awake_night
        return frozenset(by | {CLOCK} if quiet else by - {CLOCK})

    def _night(self, wall: datetime) -> str:
        night = self._quiet_hours and self._quiet_hours.night(wall)
        return night.isoformat() if night else ""

    def _set(self, by: AbstractSet[str]) -> None:
        was, self._by = self._by, frozenset(by)
        if OWNER not in self._by:
            self._ends_at = None
        if self._by and not was:
            self._change(muted=True)
        self._store()
        if was and not self._by:
            self._change(muted=False)

    def _change(self, *, muted: bool) -> None:
        if muted:
            self._log_muted("is closed")
        else:
            _LOGGER.info("no longer muted", extra=kinds.UNMUTED.fields())
        self._on_change(muted)

    def _log_muted(self, microphone: str) -> None:
        by, until = ", ".join(self.by), self.until
        fields = kinds.MUTED.fields(MUTED_BY=by, **({"MUTED_UNTIL": until} if until else {}))
        who = f"{by} until {until}" if until else by
        _LOGGER.info("muted by the %s: the microphone %s", who, microphone, extra=fields)

    def _store(self) -> None:
        fields: dict[str, object] = {"by": sorted(self._by - {CLOCK})}
        fields["awake_night"] = self._awake_night
        if self._ends_at is not None:
            fields["ends_at"] = self._ends_at
        try:
            write_whole(self._path, json.dumps(fields))
        except OSError as error:
            self.stored = False
            unsure = kinds.MUTE_UNSURE.fields(PLACE=self._path, REASON=error)
            _LOGGER.warning("a restart will not know who muted the ear: %s", error, extra=unsure)
        else:
            self.stored = True
