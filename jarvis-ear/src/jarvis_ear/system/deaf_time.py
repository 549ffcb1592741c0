"""DeafTime: for how long there was no microphone today."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

from jarvis_ear.system.regular_file import read_regular
from jarvis_ear.system.whole_file import write_whole

FILE: Final = "deaf.json"

MAX_BYTES: Final = 4096
"""Forty times what we write."""

STORE_S: Final = 10.0
"""So much a sudden end may forget of an outage that lasts."""


class DeafTime:
    """Adds up the time between looks that found the ear deaf. For one thread.

    With a ``folder``, a restart on the same day goes on counting. One that cannot be used costs
    only that: the number is for people.
    """

    def __init__(self, today: Callable[[], date], folder: Path | None = None) -> None:
        self._today = today
        self._path = folder and folder / FILE
        self._day: date | None = None
        self._since: float | None = None
        self._stored = 0.0
        self.seconds = 0.0
        """So much since midnight."""

    def look(self, now: float, *, deaf: bool) -> None:
        """Note at ``now``, in seconds of a clock that nobody sets, whether the ear is deaf."""
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
            told = json.loads(read_regular(self._path, MAX_BYTES)[0])
            return float(told["seconds"]) if told["day"] == today.isoformat() else 0.0
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return 0.0

    def _store(self, *, at_once: bool) -> None:
        if self._path is None or (self.seconds - self._stored < STORE_S and not at_once):
            return
        self._stored = self.seconds
        told = {"day": self._today().isoformat(), "seconds": round(self.seconds, 1)}
        with suppress(OSError):
            write_whole(self._path, json.dumps(told))
