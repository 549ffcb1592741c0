"""Volume: how loud replies are, stored across restarts, and what the backend asks of it."""

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jarvis_ear.config import Config
from jarvis_ear.delivery.events import Finished
from jarvis_ear.devices.output import NONE
from jarvis_ear.devices.shaping import FULL
from jarvis_ear.journal.sound import VOLUME_REFUSED, VOLUME_SET
from jarvis_ear.log.throttle import Throttle
from jarvis_ear.mute import OWNER
from jarvis_ear.paths import read_object, write_whole
from jarvis_ear.wires.messages import UNCHANGED

_LOGGER = logging.getLogger(__name__)

FILE: Final = "volume.json"

BACKEND: Final = "backend"
"""Who sets the volume, in the log, if not the owner or the broker."""

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

    def set(self, percent: int, by: str = OWNER) -> None:
        """Set another volume, and log who did."""
        with self._lock:
            was, self._percent = self._percent, percent
            fields = VOLUME_SET.fields(VOLUME_PERCENT=percent, SET_BY=by)
            words = "volume of replies: %d %% (before: %d %%), set by the %s"
            _LOGGER.info(words, percent, was, by, extra=fields)
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


class VolumeRequests:
    """Sets the volume as the backend asks, if the owner allows it and there is a loudspeaker.

    It is a view of ``TurnHistory``, which calls ``draw`` and ``change`` in any thread. The main
    thread calls ``look``, because setting the volume writes to the disk. Bound: one volume waits.
    Policy: a newer request changes it. An announcement changes nothing: nobody asked for it.
    """

    def __init__(
        self,
        volume: Volume,
        on_request: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_request`` asks for a ``look`` soon, and must not block."""
        self._volume = volume
        self._on_request = on_request
        self._now = now
        self._lock = threading.Lock()  # protects _wanted
        self._wanted: int | None = None
        self._set: Callable[[int, str], object]
        self._is_allowed = self._is_heard = False
        self._warnings = Throttle()

    def connect(self, set_volume: Callable[[int, str], object]) -> None:
        """Set what sets the volume, for whom. Once, before the first ``look``."""
        self._set = set_volume

    def change(self, options: Config) -> None:
        """Use other options for the requests that follow."""
        self._is_allowed = options.backend.may_set_volume
        self._is_heard = options.speaker.device != NONE

    def draw(self, event: object, _trace: object) -> None:
        """Note the request at the end of a turn, of which each turn has one."""
        if not isinstance(event, Finished) or event.volume == UNCHANGED or not self._is_heard:
            return
        if event.volume.problem or not self._is_allowed:
            self._refuse(event.volume.problem or "backend.may_set_volume does not allow it")
            return
        with self._lock:
            before = self._volume.percent if self._wanted is None else self._wanted
            self._wanted = event.volume.applied_to(before)
        self._on_request()

    def look(self) -> None:
        """Set the volume that waits. Main thread."""
        with self._lock:
            wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._set(wanted, BACKEND)

    def _refuse(self, reason: str) -> None:
        if self._warnings.allows(self._now()):
            fields = VOLUME_REFUSED.fields(REASON=reason)
            words = "the backend's request to change the volume is refused: %s"
            _LOGGER.warning(words, reason, extra=fields)
