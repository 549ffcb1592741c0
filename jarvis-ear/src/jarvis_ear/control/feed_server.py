"""FeedSocket: the feed, line by line, for whoever of us connects."""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from jarvis_ear.control import server
from jarvis_ear.control.feed import Feed, encode

_LOGGER = logging.getLogger(__name__)

TICK_S: Final = 0.08
"""A step: the wake model has no score more often. It is waking up that costs, not what is done."""

MAX_WATCHERS: Final = 16
"""At once, of all users together."""

MAX_OF_ONE_USER: Final = 4
"""Watchers of one user at once: a console is one, however many browsers look at it."""

STOP_S: Final = 1.0
"""A turn of the loop takes a millisecond, and no call in it waits."""


class FeedSocket:
    """Owns the socket and the thread "feed" that serves it, inside a ``with``.

    While nobody watches, the thread sleeps until somebody comes, and nothing is looked at.
    While somebody does, ``look`` is called before each tick, in that thread. At most
    ``MAX_OF_ONE_USER`` and ``MAX_WATCHERS`` are served; one more is turned away (``refused``).
    A watcher that reads slowly misses deltas and gets a snapshot, and nobody waits for it. An
    ear that cannot have the socket says so once and hears all the same.
    """

    def __init__(
        self,
        path: Path,
        feed: Feed,
        look: Callable[[], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._feed = feed
        self._look = look
        self._monotonic = monotonic
        self._doorway: server.Doorway | None = None
        self._stop_here, self._stop_there = socket.socketpair()
        self._watchers: dict[socket.socket, _Watcher] = {}
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.refused = 0
        """Connections that were turned away: strangers, and those above the bound."""

    def counters(self) -> Mapping[str, int]:
        """Return how often somebody was turned away, and what watchers missed. Any thread."""
        return {"feed_refused": self.refused, "feed_dropped": self._feed.dropped}

    def __enter__(self) -> Self:
        try:
            self._doorway = server.Doorway(self._path, self._monotonic)
        except OSError as error:
            told = {"PLACE": self._path, "REASON": error}
            _LOGGER.warning("no feed for a console at %s: %s", self._path, error, extra=told)
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_here.close()
        if self._doorway is not None:
            self._thread.join(STOP_S)
            self._doorway.close()
        self._stop_there.close()

    def _run(self) -> None:
        assert self._doorway is not None  # noqa: S101 - the thread is started with it
        due = self._monotonic()
        while True:
            ready = self._wait(self._doorway, due)
            if self._stop_there in ready:
                break
            self._meet(self._doorway, ready)
            if self._watchers and self._monotonic() >= due:
                due = self._monotonic() + TICK_S
                self._tell()
        for watcher in list(self._watchers.values()):
            self._part(watcher)

    def _wait(self, doorway: server.Doorway, due: float) -> frozenset[socket.socket]:
        """Sleep until somebody comes or goes, or until the tick if anybody watches."""
        everybody = (self._stop_there, *doorway.open_again(), *self._watchers)
        times = [due] if self._watchers else []
        if doorway.opens_at is not None:
            times.append(doorway.opens_at)
        patience = min(times) - self._monotonic() if times else None
        return server.wait(((one, selectors.EVENT_READ) for one in everybody), patience)

    def _meet(self, doorway: server.Doorway, ready: frozenset[socket.socket]) -> None:
        for watcher in [each for one, each in self._watchers.items() if one in ready]:
            self._part(watcher)  # it has left, or speaks where it should listen
        client = doorway.accept() if doorway.listener in ready else None
        if client is not None:
            self._take(doorway, client)

    def _take(self, doorway: server.Doorway, client: socket.socket) -> None:
        user = server.peer_user(client)
        having = [watcher.user for watcher in self._watchers.values()]
        has_room = len(having) < MAX_WATCHERS and having.count(user) < MAX_OF_ONE_USER
        if has_room and doorway.is_welcome(client):
            self._watchers[client] = _Watcher(client, user, self._feed)
            return
        self.refused += 1
        client.close()

    def _tell(self) -> None:
        self._look()
        for watcher in list(self._watchers.values()):
            try:
                watcher.send()
            except OSError as error:
                _LOGGER.debug("a watcher of the feed is gone: %s", error)
                self._part(watcher)

    def _part(self, watcher: "_Watcher") -> None:
        del self._watchers[watcher.client]
        watcher.close()


class _Watcher:
    """One connection, and the rest of the line that it has not taken yet."""

    def __init__(self, client: socket.socket, user: int, feed: Feed) -> None:
        self.client = client
        self.user = user
        self._subscription = feed.subscribe()
        self._unsent = b""

    def send(self) -> None:
        """Hand over what the connection takes right now."""
        if not self._unsent:
            news = self._subscription.fetch()
            if news is None:
                return
            self._unsent = encode(news).encode() + b"\n"
        try:
            sent = self.client.send(self._unsent)
        except BlockingIOError:
            return
        self._unsent = self._unsent[sent:]

    def close(self) -> None:
        """Watch no longer, and hang up."""
        self._subscription.close()
        self.client.close()
