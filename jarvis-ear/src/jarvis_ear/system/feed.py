"""Feed: what is so right now, told to whoever watches: a snapshot first, then what changes."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

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
