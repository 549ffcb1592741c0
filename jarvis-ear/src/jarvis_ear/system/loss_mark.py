"""LossMark: since when there has been no sound, known to the next ear when this one ends."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from jarvis_ear.system.whole_file import write_whole

FILE: Final = "loss.json"

RESTART_S: Final = 60.0
"""Longest time between two ears that counts as a restart; a longer one is told by their records
of start and stop, and nobody was to hear in it."""

STORE_S: Final = 10.0
"""While it lasts, a loss is written so often."""

_MAX_BYTES: Final = 1000


class LossMark:
    """Keeps the length of the present loss in the runtime folder. For one thread: "capture".

    Times are seconds of a clock that all processes of one run of the machine share; the folder does
    not outlast that run. A folder that cannot be used, or None, costs only that: a loss counts from
    the start of the ear then.
    """

    def __init__(
        self, folder: Path | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = folder and folder / FILE
        self._monotonic = monotonic
        self._stored_at: float | None = None

    def carried_s(self) -> float:
        """Return for how many seconds there was no sound when this ear began; 0: there was."""
        if self._path is None:
            return 0.0
        try:
            told = json.loads(_read(self._path))
            since_s = self._monotonic() - float(told["at"])
            gone_s = float(told["gone_s"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0
        return gone_s + since_s if 0 <= since_s <= RESTART_S and gone_s >= 0 else 0.0

    def lasts(self, gone_s: float) -> None:
        """Note that there has been no sound for ``gone_s`` seconds."""
        now = self._monotonic()
        if self._path is None or (self._stored_at is not None and now - self._stored_at < STORE_S):
            return
        self._stored_at = now
        with suppress(OSError):
            write_whole(self._path, json.dumps({"at": now, "gone_s": gone_s}))

    def over(self) -> None:
        """Note that there is sound, or that nobody misses it."""
        self._stored_at = None
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    """Read a small file. A pipe or a link in its place holds nobody up."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        return os.read(handle, _MAX_BYTES)
    finally:
        os.close(handle)
