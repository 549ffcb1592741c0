"""Feed: what a console is shown, as a snapshot followed by changes."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from jarvis_ear.audio.level import frame_levels
from jarvis_ear.control.client import noted
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.units import Samples, milliseconds

MAX_DELTAS: Final = 256
"""Ten seconds of a busy ear; whoever is further behind is better served with a snapshot."""

Value: TypeAlias = Any
"""Whatever JSON can say. None: the topic is gone."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is so; what was known before does not count any more."""

    topics: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Deltas:
    """What has changed since, in order."""

    changes: tuple[tuple[str, Value], ...]
    """Topic and new value. A value replaces the one before whole."""


News: TypeAlias = Snapshot | Deltas


class Feed:
    """A board of topics, each with one value. Any thread may write, read and subscribe.

    It remembers the present, never the past: a topic has one value, and nothing is ever waited for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects the topics and every subscription
        self._topics: dict[str, Value] = {}
        self._subscriptions: list[Subscription] = []
        self.dropped = 0
        """Deltas that somebody did not fetch in time; a snapshot took their place."""

    def put(self, topic: str, value: Value) -> None:
        """Say that ``topic`` is ``value`` now, or with None, that there is no such topic."""
        with self._lock:
            if self._topics.get(topic) == value:
                return
            self._keep(topic, value)
            for subscription in self._subscriptions:
                self.dropped += subscription.add(topic, value)

    def replace(self, topics: Mapping[str, Value]) -> None:
        """Say that only this is so now."""
        with self._lock:
            self._topics = dict(topics)
            for subscription in self._subscriptions:
                self.dropped += subscription.start_anew()

    def make_void(self) -> None:
        """Have nobody told any more what was so before: everybody gets a snapshot next."""
        with self._lock:
            for subscription in self._subscriptions:
                self.dropped += subscription.start_anew()

    def snapshot(self) -> Snapshot:
        """Return everything that is so."""
        with self._lock:
            return Snapshot(dict(self._topics))

    def subscribe(self, wake: Callable[[], None] = lambda: None) -> "Subscription":
        """Watch from now on. ``wake`` is called when there is news; it must not wait."""
        with self._lock:
            subscription = Subscription(self, wake)
            self._subscriptions.append(subscription)
            return subscription

    def unsubscribe(self, subscription: "Subscription") -> None:
        """Watch no longer."""
        with self._lock:
            self._subscriptions.remove(subscription)

    def fetch(self, subscription: "Subscription") -> News | None:
        """Return what is new for ``subscription``, or None."""
        with self._lock:
            return subscription.take(self._topics)

    def _keep(self, topic: str, value: Value) -> None:
        if value is None:
            self._topics.pop(topic, None)
        else:
            self._topics[topic] = value


class Subscription:
    """What one watcher has not fetched yet. Made by the feed; one thread fetches.

    Bound: ``MAX_DELTAS``. Policy: when there are more, all of them go and the next news is a
    snapshot. Counter: the feed's ``dropped``.
    """

    def __init__(self, feed: Feed, wake: Callable[[], None]) -> None:
        self._feed = feed
        self._wake = wake
        self._waiting: deque[tuple[str, Value]] = deque()
        self._is_behind = True

    def fetch(self) -> News | None:
        """Return what is new, or None. At first that is a snapshot."""
        return self._feed.fetch(self)

    def close(self) -> None:
        """Watch no longer."""
        self._feed.unsubscribe(self)

    def add(self, topic: str, value: Value) -> int:
        """Keep one delta, and return how many were given up. The feed calls this."""
        self._wake()
        if self._is_behind:
            return 0
        if len(self._waiting) >= MAX_DELTAS:
            return self.start_anew() + 1
        self._waiting.append((topic, value))
        return 0

    def start_anew(self) -> int:
        """Have a snapshot fetched next; return how many deltas that makes void."""
        self._wake()
        self._is_behind = True
        dropped = len(self._waiting)
        self._waiting.clear()
        return dropped

    def take(self, topics: Mapping[str, Value]) -> News | None:
        """Hand out what waits, or all ``topics`` if that would not do. The feed calls this."""
        if self._is_behind:
            self._is_behind = False
            return Snapshot(dict(topics))
        if not self._waiting:
            return None
        changes = tuple(self._waiting)
        self._waiting.clear()
        return Deltas(changes)


def apply(topics: Mapping[str, Value], news: News) -> dict[str, Value]:
    """Return what is so after ``news``, where ``topics`` was so before."""
    if isinstance(news, Snapshot):
        return dict(news.topics)
    changed = dict(topics)
    for topic, value in news.changes:
        if value is None:
            changed.pop(topic, None)
        else:
            changed[topic] = value
    return changed


MAX_LINE: Final = 256 * 1024
"""Bytes: a snapshot with a dozen turns has about ten thousand."""


def encode(news: News) -> str:
    """Write ``news`` as one line, without its end."""
    match news:
        case Snapshot(topics):
            return json.dumps({"snapshot": topics}, separators=(",", ":"))
        case Deltas(changes):
            return json.dumps({"deltas": changes}, separators=(",", ":"))


def decode(line: bytes | str) -> News:
    """Read one line, or raise RemoteProtocolError."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a line of the feed that is no JSON") from None
    match told:
        case {"snapshot": dict(topics)}:
            return Snapshot(topics)
        case {"deltas": list(changes)} if all(map(_is_change, changes)):
            return Deltas(tuple((topic, value) for topic, value in changes))
    raise RemoteProtocolError("a line of the feed; expected a snapshot or deltas")


def _is_change(change: object) -> bool:
    return isinstance(change, list) and len(change) == 2 and isinstance(change[0], str)  # noqa: PLR2004 - topic and value


HEALTH_S: Final = 1.0
"""Counters and ages: once a second is as often as anybody reads them."""

_ELSEWHERE: Final = ("state", "turns", "muted_by")
"""What the health report says and a topic of its own says sooner."""


class LevelSource(Protocol):
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


class FeedSampler:
    """Looks at the ear, and writes what it sees. Lives in the feed's thread."""

    def __init__(
        self,
        feed: Feed,
        ear: LevelSource,
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
