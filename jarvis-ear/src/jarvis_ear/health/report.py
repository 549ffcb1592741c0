"""Health report: the answer to ``jarvis-ear status``, with the counters of every part."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

from jarvis_ear import __version__
from jarvis_ear.audio.level import SILENCE, NoiseFloor, level
from jarvis_ear.health.deaf_time import DeafTime
from jarvis_ear.health.liveness import Beat
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import State
from jarvis_ear.units import HOLD_S

Part: TypeAlias = Callable[[], Mapping[str, int]]
"""Returns the counters of one part by name. Any thread calls it; it must not block."""


class Counters:
    """Counters of all parts. The main thread creates and fills it; any thread may read it."""

    def __init__(self) -> None:
        self._parts: tuple[Part, ...] = ()

    def add(self, part: Part) -> None:
        """Add a part. Counters with the same name in several parts are summed."""
        self._parts = (*self._parts, part)

    def read(self) -> dict[str, int]:
        """Return every counter by name, including those that are zero."""
        counted: Counter[str] = Counter()
        for part in self._parts:
            counted.update(part())
        return dict(counted)


FRESH_S: Final = HOLD_S + 2.0
"""An ear without a newer frame is deaf: a frame is due every 20 ms, unless quiet sound is kept
back."""


class Health:
    """State of the ear's hearing. The main thread calls ``look``; any thread may ``report``."""

    def __init__(
        self,
        ear: EarThread,
        beat: Beat,
        *,
        details: Callable[[], Mapping[str, object]],
        counters: Callable[[], Mapping[str, int]] = dict,
        turns: Callable[[], Sequence[Mapping[str, object]]] = lambda: (),
        monotonic: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = date.today,
        folder: Path | None = None,
    ) -> None:
        self._ear = ear
        self._beat = beat
        self._details = details
        self._counters = counters
        self._turns = turns
        self._monotonic = monotonic
        self._lock = threading.Lock()  # protects what look() changes, except the deaf time
        self._began_at = monotonic()
        self._frames = ear.frames
        self._heard_at: float | None = None
        self._level = SILENCE
        self._floor = NoiseFloor()
        self._deaf = DeafTime(today, folder)

    def look(self) -> None:
        """Sample the ear, about once a second.

        The deaf time is stored outside the lock, so a slow disk does not block readers.
        """
        now = self._monotonic()
        self._deaf.look(now, deaf=self._ear.state is State.DEAF)
        with self._lock:
            self._beat.look()
            if self._sample(now):
                self._floor.hear(self._level)

    def _sample(self, now: float) -> bool:
        """Note a new frame; return whether there was one. With the lock held."""
        if self._ear.frames == self._frames:
            return False
        self._frames = self._ear.frames
        if self._ear.state is not State.DEAF:  # frames of a deaf ear are no room sound
            self._heard_at = now
        self._level = level(self._ear.last_frame).rms
        return True

    @property
    def hearing(self) -> bool:
        """Whether sound comes from the microphone. Any thread may read it."""
        with self._lock:
            now = self._monotonic()
            self._sample(now)
            return self._is_hearing(self._ear.state, self._heard_s_ago(now))

    def report(self) -> dict[str, Any]:
        """Return the whole report, as plain values, as of now."""
        with self._lock:
            now = self._monotonic()
            self._sample(now)
            state = self._ear.state
            heard_s_ago = self._heard_s_ago(now)
            return {
                "state": str(state),
                "hearing": self._is_hearing(state, heard_s_ago),
                "heard_s_ago": heard_s_ago,
                "level_dbfs": round(self._level, 1),
                "noise_floor_dbfs": round(self._floor.level, 1),
                "deaf_s_today": round(self._deaf.seconds, 1),
                **self._details(),
                "counters": dict(self._counters()),
                "beat": self._beat.count,
                "stuck": list(self._beat.stuck),
                "turns": list(self._turns()),
                "uptime_s": round(now - self._began_at),
                "pid": os.getpid(),
                "version": __version__,
            }

    def _heard_s_ago(self, now: float) -> float | None:
        return None if self._heard_at is None else round(now - self._heard_at, 2)

    def _is_hearing(self, state: State, heard_s_ago: float | None) -> bool:
        awake = state not in (State.MUTED, State.DEAF)
        return awake and heard_s_ago is not None and heard_s_ago < FRESH_S
