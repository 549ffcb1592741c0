"""Control server: answers commands and sends the feed, over private Unix sockets."""

import json
import logging
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Final, Self

from jarvis_ear import paths
from jarvis_ear.control.commands import BODIES, WATCH, Answer
from jarvis_ear.control.feed import Feed, Subscription, encode
from jarvis_ear.control.unix_socket import ListeningSocket, peer_credentials
from jarvis_ear.journal.life import CONTROL_TROUBLE
from jarvis_ear.process import NamedThread

_LOGGER = logging.getLogger(__name__)

_NO_LINE: Final[Answer] = {"error": "expected one word and a line feed"}
_BUSY: Final[Answer] = {"error": "another sound or text is being received", "status": 75}

MAX_REQUEST: Final = 64
"""Bytes; five times the longest command."""

PIECE: Final = 64 * 1024
"""Bytes of a body that are read at once."""

CLIENT_S: Final = 1.0
"""Seconds in which a client must send its request, and again in which it must read the answer."""

MAX_CLIENTS: Final = 32
"""Simultaneous clients: people, scripts and a console that sends commands."""

MAX_CLIENTS_OF_USER: Final = 8
"""Simultaneous clients of one user."""

MAX_WATCHERS: Final = 16
"""Simultaneous watchers of all users."""

MAX_WATCHERS_OF_USER: Final = 4
"""Simultaneous watchers of one user; a console is one, regardless of its number of browsers."""

TICK_S: Final = 0.08
"""One step of the wake model, which has no new score sooner. The cost is the wake-up itself."""

STOP_S: Final = 1.0
"""Seconds; a stop interrupts every wait of the thread except the one for an answer."""


BODY_S: Final = 10.0
"""Seconds in which a client must send the body of a request."""

WORK_S: Final = 60.0
"""Seconds after which a client gets no answer; the work behind it has shorter deadlines."""

WORK_TICK_S: Final = 0.05
"""Seconds between two looks for an answer that takes a while."""


class ControlServer:
    """Owns the sockets and the thread "control" that serves them, inside a ``with``.

    A client of the socket ``control`` sends a command as one line, and gets the answer as one line
    of JSON; after ``watch`` it gets the feed instead. A command of ``BODIES`` has a body, and goes
    to ``take``, whose answer may come later. A client of the socket ``feed`` gets the feed at once.
    ``answer``, ``take`` and ``sample`` are called in the thread and must not wait for the ear:
    ``answer`` for one request at a time, ``sample`` before each tick if there are watchers.

    Bound of bodies: one at a time. Policy: others are refused with an error. Bound of clients:
    ``MAX_CLIENTS_OF_USER`` and ``MAX_CLIENTS``. Policy: a new one closes the
    oldest one of that user, or else of the user with most. Counter: ``refused``, which includes
    users without permission. Bound of watchers: ``MAX_WATCHERS_OF_USER`` and ``MAX_WATCHERS``.
    Policy: further ones are closed. Counter: ``feed_refused``. A slow watcher misses deltas and
    gets a snapshot; it does not delay the others. If a socket cannot be opened, one warning is
    logged and the ear works without it.
    """

    def __init__(
        self,
        folder: Path,
        answer: Callable[[str], Answer],
        feed: Feed | None = None,
        sample: Callable[[], None] = lambda: None,
        *,
        take: Callable[[str, bytes], Answer | Future[Answer]] = lambda _name, _body: _NO_LINE,
        on_watched: Callable[[bool], None] = lambda _is_watched: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._answer = answer
        self._feed = feed or Feed()
        self._sample = sample
        self._take = take
        self._on_watched = on_watched
        self._is_watched = False
        self._monotonic = monotonic
        self._tick_at = float("-inf")
        self._listeners: list[ListeningSocket] = []
        self._connections: dict[socket.socket, _Connection] = {}  # the oldest comes first
        self._stop_here, self._stop_there = socket.socketpair()
        self._thread = NamedThread(target=self._run, name="control", daemon=True)
        self.refused = 0
        """Clients that were closed without an answer."""
        self.feed_refused = 0
        """Watchers that were closed."""

    def counters(self) -> Mapping[str, int]:
        """Return the counts of refused connections and of dropped deltas. Any thread."""
        return {
            "control_refused": self.refused,
            "feed_refused": self.feed_refused,
            "feed_dropped": self._feed.dropped,
        }

    def __enter__(self) -> Self:
        for path in (self._folder / paths.SOCKET, self._folder / paths.FEED):
            try:
                self._listeners.append(ListeningSocket(path, self._monotonic))
            except OSError as error:
                fields = CONTROL_TROUBLE.fields(PLACE=path, REASON=error)
                _LOGGER.warning("no control socket at %s: %s", path, error, extra=fields)
        if self._listeners:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_here.close()
        if self._listeners:
            self._thread.join(STOP_S)
        for listener in self._listeners:
            listener.close()
        self._stop_there.close()

    def _run(self) -> None:
        while self._serve():
            pass
        for connection in list(self._connections.values()):
            self._close(connection)

    def _serve(self) -> bool:
        """Run one iteration of the loop; False at a stop."""
        ready = self._wait()
        if self._stop_there in ready:
            return False
        for connection in [each for one, each in self._connections.items() if one in ready]:
            self._advance(connection)
        for listener in self._listeners:  # one each, so that open connections are served in between
            if listener.socket in ready:
                self._accept(listener)
        now = self._monotonic()
        self._look_at_clients(now)
        watchers = self._watchers()
        if bool(watchers) is not self._is_watched:
            self._is_watched = bool(watchers)
            self._on_watched(self._is_watched)
        if watchers and now >= self._tick_at:
            self._tick_at = now + TICK_S
            self._sample()
            for watcher in watchers:
                self._send_news(watcher)
        return True

    def _look_at_clients(self, now: float) -> None:
        """Answer those whose work is done, and close those that are late."""
        for client in self._clients():
            if client.work is not None and client.work.done():
                client.answer(client.work.result(), now + CLIENT_S)
                self._advance(client)
            elif now >= client.deadline:
                self._close(client)

    def _wait(self) -> frozenset[socket.socket]:
        """Wait for a ready or late connection, a tick or a stop; return the ready sockets.

        Uses poll(2): any number of descriptors is possible, and none is needed for the waiting.
        """
        now = self._monotonic()
        due = [client.deadline for client in self._clients()]
        due += [now + WORK_TICK_S for client in self._clients() if client.work is not None]
        due += [one.retry_at for one in self._listeners if one.retry_at > now]
        due += [self._tick_at] if self._watchers() else []
        with selectors.PollSelector() as poll:
            poll.register(self._stop_there, selectors.EVENT_READ)
            for listener in self._listeners:
                if listener.retry_at <= now:
                    poll.register(listener.socket, selectors.EVENT_READ)
            for connection in self._connections.values():
                poll.register(connection.socket, connection.events)
            ready = poll.select(max(0.0, min(due) - now) if due else None)
        return frozenset(key.fileobj for key, _ in ready if isinstance(key.fileobj, socket.socket))

    def _clients(self) -> list["_Connection"]:
        return [each for each in self._connections.values() if each.subscription is None]

    def _watchers(self) -> list["_Connection"]:
        return [each for each in self._connections.values() if each.subscription is not None]

    def _accept(self, listener: ListeningSocket) -> None:
        accepted = listener.accept()
        if accepted is None:
            return
        is_watcher = listener.path.name == paths.FEED
        if not listener.is_permitted(accepted):
            self.feed_refused += is_watcher
            self.refused += not is_watcher
            accepted.close()
            return
        user, _group = peer_credentials(accepted)
        connection = _Connection(accepted, user, self._monotonic() + CLIENT_S)
        if is_watcher:
            self._watch(connection)
            return
        self._make_room(user)
        self._connections[accepted] = connection
        self._advance(connection)  # its request has usually arrived already

    def _make_room(self, user: int) -> None:
        """Close the oldest client of the user who has too many."""
        clients = self._clients()
        count = Counter(client.user for client in clients)
        if count[user] < MAX_CLIENTS_OF_USER:
            if len(clients) < MAX_CLIENTS:
                return
            user = count.most_common(1)[0][0]
        self.refused += 1
        self._close(next(client for client in clients if client.user == user))

    def _watch(self, connection: "_Connection") -> None:
        """Make a watcher of the connection, or close it if there is no room."""
        users = [watcher.user for watcher in self._watchers()]
        if len(users) < MAX_WATCHERS and users.count(connection.user) < MAX_WATCHERS_OF_USER:
            connection.subscription = self._feed.subscribe()
            self._connections[connection.socket] = connection
            return
        self.feed_refused += 1
        self._close(connection)

    def _advance(self, connection: "_Connection") -> None:
        """Read or write without blocking; close the connection when it is complete."""
        if connection.subscription is not None or connection.work is not None:
            self._close(connection)  # it has closed, or sends although it must not
            return
        try:
            if not connection.unsent and connection.is_request_complete(self._may_have_body):
                if connection.word == WATCH:
                    self._watch(connection)
                    return
                self._carry_out(connection)
            if connection.work is not None or (connection.unsent and not connection.send()):
                return
        except BlockingIOError:
            return
        except OSError as error:  # the client has disconnected
            _LOGGER.debug("a control client was not answered: %s", error)
        self._close(connection)

    def _may_have_body(self) -> bool:
        """Return whether no other client sends a body."""
        return not any(client.body_size for client in self._clients())

    def _carry_out(self, connection: "_Connection") -> None:
        """Answer a complete request, or note the work that will have the answer."""
        name, now = connection.word.partition(" ")[0], self._monotonic()
        if connection.refusal:
            answer: Answer | Future[Answer] = connection.refusal
        elif name in BODIES:
            answer = self._take(name, connection.take_body())
        else:
            answer = self._answer(connection.word) if connection.word else _NO_LINE
        if isinstance(answer, Future):
            connection.work, connection.deadline = answer, now + WORK_S
        else:
            connection.answer(answer, now + CLIENT_S)

    def _send_news(self, watcher: "_Connection") -> None:
        """Send as much as the connection accepts without blocking."""
        assert watcher.subscription is not None  # noqa: S101 - it is a watcher
        if not watcher.unsent and (news := watcher.subscription.fetch()) is not None:
            watcher.unsent = encode(news).encode() + b"\n"
        try:
            watcher.send()
        except BlockingIOError:
            pass
        except OSError as error:
            _LOGGER.debug("a watcher of the feed is gone: %s", error)
            self._close(watcher)

    def _close(self, connection: "_Connection") -> None:
        self._connections.pop(connection.socket, None)
        if connection.subscription is not None:
            connection.subscription.close()
        connection.socket.close()


class _Connection:
    """One client or watcher. Used by the thread "control"."""

    def __init__(self, connection: socket.socket, user: int, deadline: float) -> None:
        self.socket = connection
        self.user = user
        self.deadline = deadline
        """When a client is closed if it is not complete."""
        self.subscription: Subscription | None = None
        """What a watcher has not fetched yet; None: it is a client."""
        self.unsent = b""
        """Rest of the answer, or of the current line of the feed."""
        self.work: Future[Answer] | None = None
        """What will have the answer."""
        self.word = ""
        """The command with its argument; empty if the request is not a line."""
        self.body_size = 0
        """Bytes of the body that is being received; 0: none."""
        self.refusal: Answer = {}
        """Why its body is not received; empty if it is."""
        self._line = b""
        self._body = bytearray()

    @property
    def events(self) -> int:
        """The ``selectors`` event to wait for; a watcher is written to at each tick."""
        is_answered = self.subscription is None and self.unsent
        return selectors.EVENT_WRITE if is_answered else selectors.EVENT_READ

    def is_request_complete(self, may_have_body: Callable[[], bool]) -> bool:
        """Read on; True if the request is complete or wrong, False if the client closed before.

        Raises ``BlockingIOError`` if there is nothing to read yet.
        """
        while b"\n" not in self._line and len(self._line) <= MAX_REQUEST:
            more = self.socket.recv(MAX_REQUEST + 1)
            if not more:
                return False
            self._line += more
            self._read_line(may_have_body)
        while len(self._body) < self.body_size:
            more = self.socket.recv(min(self.body_size - len(self._body), PIECE))
            if not more:
                return False
            self._body += more
        return True

    def _read_line(self, may_have_body: Callable[[], bool]) -> None:
        line, end, rest = self._line.partition(b"\n")
        if not end:
            return
        self.word = line.decode("ascii", "replace").strip()
        name, _, number = self.word.partition(" ")
        if name not in BODIES:
            return
        size = int(number) if re.fullmatch("[0-9]{1,9}", number) else 0
        if not 1 <= size <= BODIES[name]:
            self.refusal = {"error": f"expected {name} and a length of 1 to {BODIES[name]} bytes"}
        elif not may_have_body():
            self.refusal = _BUSY
        else:
            self.body_size = size
            self._body += rest[:size]
            self.deadline += BODY_S

    def take_body(self) -> bytes:
        """Return the body, and forget it."""
        body, self._body, self.body_size = bytes(self._body), bytearray(), 0
        return body

    def answer(self, answer: Answer, deadline: float) -> None:
        """Send an answer from now on, until ``deadline``."""
        self.work, self.deadline = None, deadline
        self.unsent = json.dumps(answer).encode() + b"\n"

    def send(self) -> bool:
        """Send without blocking, and return whether everything is sent."""
        if self.unsent:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        return not self.unsent
