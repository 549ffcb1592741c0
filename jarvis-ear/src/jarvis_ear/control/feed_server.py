"""Feed server: a private Unix socket that sends the feed line by line."""

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
"""One step of the wake model, which has no new score sooner. The cost is the wake-up itself."""

MAX_WATCHERS: Final = 16
"""Simultaneous watchers of all users."""

MAX_OF_ONE_USER: Final = 4
"""Simultaneous watchers of one user; a console is one, regardless of its number of browsers."""

STOP_S: Final = 1.0
"""An iteration of the loop takes a millisecond, and no call in it blocks."""


class FeedSocket:
    """Owns the socket and the thread "feed" that serves it, inside a ``with``.

    Without watchers the thread sleeps until one connects. With watchers, ``look`` is called before
    each tick, in that thread. Bound: ``MAX_OF_ONE_USER`` and ``MAX_WATCHERS``. Policy: further
    connections are closed. Counter: ``refused``. A slow watcher misses deltas and gets a snapshot;
    it does not delay the others. If the socket cannot be opened, one warning is logged and the ear
    works without it.
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
        self._doorway: server.Acceptor | None = None
        self._stop_here, self._stop_there = socket.socketpair()
        self._watchers: dict[socket.socket, _Watcher] = {}
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.refused = 0
        """Connections that were refused: users without permission, and those above the bound."""

    def counters(self) -> Mapping[str, int]:
        """Return the counts of refused connections and of dropped deltas. Any thread."""
        return {"feed_refused": self.refused, "feed_dropped": self._feed.dropped}

    def __enter__(self) -> Self:
        try:
            self._doorway = server.Acceptor(self._path, self._monotonic)
        except OSError as error:
            fields = {"PLACE": self._path, "REASON": error}
            _LOGGER.warning("no feed for a console at %s: %s", self._path, error, extra=fields)
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

    def _wait(self, doorway: server.Acceptor, due: float) -> frozenset[socket.socket]:
        """Wait for a connection, the end of one, or a stop; with watchers, at most to the tick."""
        everybody = (self._stop_there, *doorway.open_again(), *self._watchers)
        times = [due] if self._watchers else []
        if doorway.opens_at is not None:
            times.append(doorway.opens_at)
        patience = min(times) - self._monotonic() if times else None
        return server.wait(((one, selectors.EVENT_READ) for one in everybody), patience)

    def _meet(self, doorway: server.Acceptor, ready: frozenset[socket.socket]) -> None:
        for watcher in [each for one, each in self._watchers.items() if one in ready]:
            self._part(watcher)  # it has closed, or sends although it must not
        client = doorway.accept() if doorway.listener in ready else None
        if client is not None:
            self._take(doorway, client)

    def _take(self, doorway: server.Acceptor, client: socket.socket) -> None:
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
    """One connection, and the unsent rest of its current line."""

    def __init__(self, client: socket.socket, user: int, feed: Feed) -> None:
        self.client = client
        self.user = user
        self._subscription = feed.subscribe()
        self._unsent = b""

    def send(self) -> None:
        """Send as much as the connection accepts without blocking."""
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
        """End the subscription, and close the connection."""
        self._subscription.close()
        self.client.close()
