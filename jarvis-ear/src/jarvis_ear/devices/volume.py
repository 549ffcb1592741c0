"""Volume: how loud replies are, stored across restarts."""

import json
import logging
import threading
from pathlib import Path
from typing import Final

from jarvis_ear.devices.shaping import FULL
from jarvis_ear.paths import read_object, write_whole

_LOGGER = logging.getLogger(__name__)

FILE: Final = "volume.json"

MAX_BYTES: Final = 256
"""Ten times the size of what is written."""


class Volume:
    """Volume of replies in per cent, 0 to 100. Any thread may use it.

    The configured one counts until another one is set, which is stored in ``folder`` (None: in
    memory only) and counts until a reload brings another configured one. A change is written to
    disk before the call returns.
    """

    def __init__(self, configured: int, folder: Path | None = None) -> None:
        self._configured = configured
        self._path = folder and folder / FILE
        self._lock = threading.Lock()  # held while a change is written
        self._percent = self._load()
        self.stored = True
        """Whether the last change is on disk."""

    @property
    def percent(self) -> int:
        """The volume in force."""
        return self._percent

    def set(self, percent: int) -> None:
        """Set another volume."""
        with self._lock:
            self._percent = percent
            self._store()

    def change(self, configured: int) -> None:
        """Use a configured volume that a reload has brought, unless it is the same as before."""
        with self._lock:
            if configured != self._configured:
                self._configured = self._percent = configured
                self._store()

    def _load(self) -> int:
        if self._path is None:
            return self._configured
        try:
            return _percent(read_object(self._path, MAX_BYTES))
        except FileNotFoundError:
            return self._configured
        except (OSError, ValueError, KeyError) as error:
            words = "%s cannot be read, so speaker.volume counts: %s"
            _LOGGER.warning(words, self._path, error)
            return self._configured

    def _store(self) -> None:
        if self._path is None:
            return
        try:
            write_whole(self._path, json.dumps({"percent": self._percent}))
        except OSError as error:
            self.stored = False
            _LOGGER.warning("a restart will not know the volume: %s", error)
        else:
            self.stored = True


def _percent(fields: dict[str, object]) -> int:
    percent = fields["percent"]
    if isinstance(percent, int) and 0 <= percent <= FULL:
        return percent
    raise ValueError(f"percent is {percent!r}, expected a whole number from 0 to {FULL}")
