"""Deaf time: how long the ear has had no sound, stored across restarts."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

from jarvis_ear.paths import read_object, write_whole

FILE: Final = "deaf.json"

MAX_BYTES: Final = 4096
"""Forty times the size of what is written."""

STORE_S: Final = 10.0
"""Seconds between two writes while there is no sound: a kill loses at most these."""


class DeafTime:
    """Sum of the time today in which the ear was deaf. Used by one thread.

    With a ``folder``, the sum continues after a restart on the same day. If the folder cannot be
    used, the sum starts at zero: the number is only shown to people.
    """

    def __init__(self, today: Callable[[], date], folder: Path | None = None) -> None:
        self._today = today
        self._path = folder and folder / FILE
        self._day: date | None = None
        self._since: float | None = None
        self._stored = 0.0
        self.seconds = 0.0
        """Seconds since midnight."""

    def look(self, now: float, *, deaf: bool) -> None:
        """Record whether the ear is deaf at ``now``, in seconds of a monotonic clock."""
        self._look_at_day()
        if self._since is not None:
            self.seconds += now - self._since
            self._store(at_once=not deaf)
        self._since = now if deaf else None

    def _look_at_day(self) -> None:
        today = self._today()
        if self._day is None:
            self.seconds = self._stored = self._remembered(today)
        elif self._day != today:
            self.seconds = self._stored = 0.0
        self._day = today

    def _remembered(self, today: date) -> float:
        if self._path is None:
            return 0.0
        try:
            fields = read_object(self._path, MAX_BYTES)
            return float(fields["seconds"]) if fields["day"] == today.isoformat() else 0.0
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0

    def _store(self, *, at_once: bool) -> None:
        if self._path is None or (self.seconds - self._stored < STORE_S and not at_once):
            return
        self._stored = self.seconds
        fields = {"day": self._today().isoformat(), "seconds": round(self.seconds, 1)}
        with suppress(OSError):
            write_whole(self._path, json.dumps(fields))


LOSS_FILE: Final = "loss.json"

RESTART_S: Final = 60.0
"""Maximum seconds between two processes that count as a restart; the records of start and stop show
a longer pause, in which the ear was not meant to hear."""


class LossFile:
    """Stores the length of the current loss in the runtime folder. Owned by the thread "capture".

    Times are seconds of a clock that all processes share until the machine reboots, which also
    removes the folder. If the folder is None or cannot be used, a loss counts from the start of
    the ear.
    """

    def __init__(
        self, folder: Path | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = folder and folder / LOSS_FILE
        self._monotonic = monotonic
        self._stored_at = float("-inf")

    def carried_s(self) -> float:
        """Return the seconds without sound before this process started; 0: there was sound."""
        if self._path is None:
            return 0.0
        try:
            fields = read_object(self._path, MAX_BYTES)
            since_s = self._monotonic() - float(fields["at"])
            gone_s = float(fields["gone_s"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0
        return gone_s + since_s if 0 <= since_s <= RESTART_S and gone_s >= 0 else 0.0

    def lasts(self, gone_s: float) -> None:
        """Record that there has been no sound for ``gone_s`` seconds."""
        now = self._monotonic()
        if self._path is None or now - self._stored_at < STORE_S:
            return
        self._stored_at = now
        with suppress(OSError):
            write_whole(self._path, json.dumps({"at": now, "gone_s": gone_s}))

    def over(self) -> None:
        """Record that there is sound, or that none is expected."""
        self._stored_at = float("-inf")
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
