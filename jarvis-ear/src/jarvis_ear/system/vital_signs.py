"""VitalSigns: what can only be looked at, written into the feed while somebody watches it."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from jarvis_ear.audio.level import frame_levels
from jarvis_ear.system.feed import Feed
from jarvis_ear.system.health_words import noted
from jarvis_ear.units import Samples, milliseconds

HEALTH_S: Final = 1.0
"""Counters and ages: once a second is as often as anybody reads them."""

_ELSEWHERE: Final = ("state", "turns", "muted_by")
"""What the health report says and a topic of its own says sooner."""


class Hearer(Protocol):
    """What is looked at. Any thread may ask."""

    frames: int
    recent: tuple[bytes, ...]

    @property
    def score(self) -> float:
        """The wake model's last score."""

    @property
    def speech(self) -> bool:
        """Whether the newest frame may be speech."""

    @property
    def samples_lost(self) -> int:
        """Samples that never arrived."""


class VitalSigns:
    """Looks at the ear, and writes what it sees. Lives in the feed's thread."""

    def __init__(
        self,
        feed: Feed,
        ear: Hearer,
        *,
        health: Callable[[], Mapping[str, Any]],
        muted_by: Callable[[], tuple[str, ...]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._ear = ear
        self._health = health
        self._muted_by = muted_by
        self._monotonic = monotonic
        self._told_at = float("-inf")
        self._seen = ear.frames

    def look(self) -> None:
        """Take a look, at every tick."""
        ear = self._ear
        self._feed.put("mute", {"by": list(self._muted_by())})
        self._feed.put("gaps", {"lost_ms": milliseconds(Samples(ear.samples_lost))})
        self._feed.put(
            "sound",
            {
                "frame": ear.frames,
                "dbfs": self._levels(),
                "speech": ear.speech,
                "score": round(ear.score, 3),
            },
        )
        if self._monotonic() - self._told_at >= HEALTH_S:
            self._told_at = self._monotonic()
            report = self._health()
            told = {name: value for name, value in report.items() if name not in _ELSEWHERE}
            told["noted"] = noted(report)
            self._feed.put("health", told)

    def _levels(self) -> list[float]:
        """Return the level of every frame since the last look, as far as they are still there."""
        seen, self._seen = self._seen, self._ear.frames
        new = min(self._seen - seen, len(self._ear.recent))
        heard = b"".join(self._ear.recent[-new:]) if new else b""
        return [round(level, 1) for level in frame_levels(heard)]
