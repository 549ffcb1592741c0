"""Feed: the data that a console shows, as a snapshot followed by deltas."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from jarvis_ear.audio.level import frame_levels
from jarvis_ear.control.report_text import noted, troubles
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.units import Samples, milliseconds

MAX_DELTAS: Final = 256
"""Ten seconds of a busy ear; beyond that, a snapshot is better than more deltas."""

Value: TypeAlias = Any
"""Any JSON value. None: the topic is removed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All topics; replaces everything known before."""

    topics: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Deltas:
    """Changes since the last fetch, in order."""

    changes: tuple[tuple[str, Value], ...]
    """Topic and new value. A new value replaces the old one as a whole."""


News: TypeAlias = Snapshot | Deltas


class Feed:
    """Topics, each with its current value. Any thread may write, read and subscribe.

    It keeps no history, and no call blocks.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """Protects the topics and every subscription."""
        self.topics: dict[str, Value] = {}
        self._subscriptions: list[Subscription] = []
        self.dropped = 0
        """Deltas that were not fetched in time and were replaced by a snapshot."""

    def put(self, topic: str, value: Value) -> None:
        """Set ``topic`` to ``value``; None removes the topic."""
        with self.lock:
            if self.topics.get(topic) == value:
                return
            if value is None:
                del self.topics[topic]
            else:
                self.topics[topic] = value
            for subscription in self._subscriptions:
                self.dropped += subscription.add(topic, value)

    def replace(self, topics: Mapping[str, Value]) -> None:
        """Replace all topics."""
        with self.lock:
            self.topics = dict(topics)
            self._start_anew()

    def make_void(self) -> None:
        """Drop all waiting deltas: every subscription gets a snapshot next."""
        with self.lock:
            self._start_anew()

    def snapshot(self) -> Snapshot:
        """Return all topics."""
        with self.lock:
            return Snapshot(dict(self.topics))

    def subscribe(self, wake: Callable[[], None] = lambda: None) -> "Subscription":
        """Return a new subscription. ``wake`` is called when there is news; it must not block."""
        with self.lock:
            subscription = Subscription(self, wake)
            self._subscriptions.append(subscription)
            return subscription

    def unsubscribe(self, subscription: "Subscription") -> None:
        """Remove a subscription."""
        with self.lock:
            self._subscriptions.remove(subscription)

    def _start_anew(self) -> None:
        for subscription in self._subscriptions:
            self.dropped += subscription.start_anew()


class Subscription:
    """What one watcher has not fetched yet. Created by the feed; one thread fetches.

    Bound: ``MAX_DELTAS``. Policy: beyond that, all deltas are dropped and the next news is a
    snapshot. Counter: the feed's ``dropped``.
    """

    def __init__(self, feed: Feed, wake: Callable[[], None]) -> None:
        self._feed = feed
        self._wake = wake
        self._waiting: list[tuple[str, Value]] = []
        self._is_behind = True

    def fetch(self) -> News | None:
        """Return the news, or None. The first news is a snapshot."""
        with self._feed.lock:
            if self._is_behind:
                self._is_behind = False
                return Snapshot(dict(self._feed.topics))
            changes = tuple(self._waiting)
            self._waiting.clear()
            return Deltas(changes) if changes else None

    def close(self) -> None:
        """End the subscription."""
        self._feed.unsubscribe(self)

    def add(self, topic: str, value: Value) -> int:
        """Add one delta, and return how many were dropped. Called by the feed."""
        self._wake()
        if self._is_behind:
            return 0
        if len(self._waiting) >= MAX_DELTAS:
            return self.start_anew() + 1
        self._waiting.append((topic, value))
        return 0

    def start_anew(self) -> int:
        """Make the next news a snapshot; return how many deltas that drops. Called by the feed."""
        self._wake()
        self._is_behind = True
        dropped = len(self._waiting)
        self._waiting.clear()
        return dropped


MAX_LINE: Final = 256 * 1024
"""Bytes; a snapshot with a dozen turns has about ten thousand."""


def encode(news: News) -> str:
    """Encode ``news`` as one line, without the line feed."""
    match news:
        case Snapshot(topics):
            return json.dumps({"snapshot": topics}, separators=(",", ":"))
        case Deltas(changes):
            return json.dumps({"deltas": changes}, separators=(",", ":"))


def decode(line: bytes | str) -> News:
    """Decode one line, or raise ``RemoteProtocolError``."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a line of the feed is not JSON") from None
    match fields:
        case {"snapshot": dict(topics)}:
            return Snapshot(topics)
        case {"deltas": list(changes)} if all(map(_is_change, changes)):
            return Deltas(tuple((topic, value) for topic, value in changes))
    raise RemoteProtocolError("a line of the feed; expected a snapshot or deltas")


def _is_change(change: object) -> bool:
    return isinstance(change, list) and len(change) == 2 and isinstance(change[0], str)  # noqa: PLR2004 - topic and value


HEALTH_S: Final = 1.0
"""Seconds between two updates of counters and ages; people do not read them more often."""

_ELSEWHERE: Final = ("state", "turns", "muted_by", "muted_until")
"""Keys of the health report that have their own topic, which is updated sooner."""


class LevelSource(Protocol):
    """What the sampler reads of the ear. Any thread may read it."""

    frames: int

    @property
    def recent(self) -> tuple[bytes, ...]:
        """The newest frames, oldest first."""

    @property
    def score(self) -> float:
        """The wake model's last score."""

    @property
    def speech(self) -> bool:
        """Whether the newest frame may be speech."""

    @property
    def samples_lost(self) -> int:
        """Samples that never arrived."""


class MuteSource(Protocol):
    """What the sampler reads of the mute. Any thread may read it."""

    @property
    def by(self) -> tuple[str, ...]:
        """Who muted the ear; empty: it is not muted."""

    @property
    def until(self) -> str:
        """Time of day at which the mute ends; empty: it has no end."""


class FeedSampler:
    """Writes the state of the ear to the feed. Used by the thread "control"."""

    def __init__(
        self,
        feed: Feed,
        ear: LevelSource,
        *,
        health: Callable[[], Mapping[str, Any]],
        mute: MuteSource,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._ear = ear
        self._health = health
        self._mute = mute
        self._monotonic = monotonic
        self._health_at = float("-inf")
        self._seen_frames = ear.frames

    def look(self) -> None:
        """Update the topics; called at every tick."""
        ear = self._ear
        self._feed.put("mute", {"by": list(self._mute.by), "until": self._mute.until})
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
        if self._monotonic() - self._health_at >= HEALTH_S:
            self._health_at = self._monotonic()
            report = self._health()
            fields = {name: value for name, value in report.items() if name not in _ELSEWHERE}
            fields["noted"] = noted(report)
            fields["troubles"] = troubles(report)
            self._feed.put("health", fields)

    def _levels(self) -> list[float]:
        """Return the level of each frame since the last look that is still available."""
        seen, self._seen_frames = self._seen_frames, self._ear.frames
        new = min(self._seen_frames - seen, len(self._ear.recent))
        heard = b"".join(self._ear.recent[-new:]) if new else b""
        return [round(level, 1) for level in frame_levels(heard)]
