"""Control: answers what `jarvis-ear status`, `mute`, `unmute` and `toggle` ask.

A request is one word and a line feed; an answer is one JSON object and a line feed; then the
connection ends. The user of the ear and root get an answer; so does the group of the ear where the
socket's folder is open to that group, as that of the service is.
"""

import json
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypeAlias

from jarvis_ear.journal.life import CONTROL_TROUBLE
from jarvis_ear.system import private_socket

Answer: TypeAlias = Mapping[str, object]

MAX_REQUEST: Final = 64
"""Bytes: five times the longest word we know."""

CLIENT_S: Final = 1.0
"""Whoever asks has so long for asking, and so long for listening. Nobody waits for it."""

MAX_CLIENTS: Final = 32
"""Connections at once: people who ask, scripts, and a console that gives orders."""

MAX_OF_ONE_USER: Final = 8
"""Connections of one user at once."""

STOP_S: Final = 1.0
"""Every wait of the thread ends with a stop, but for that of an answer."""

_LOGGER = logging.getLogger(__name__)


class Control:
    """Owns the socket and the thread "control" that answers on it, inside a ``with``.

    ``answer`` is called in that thread, one request at a time, and must not wait for the ear.
    Clients are served as they ask, in whatever order they came. Bound: ``MAX_OF_ONE_USER`` and
    ``MAX_CLIENTS``. Policy: the oldest connection of that user, or else of whoever has most, is
    closed for a new one. Counter: ``refused``, with the strangers. An ear that cannot have the
    socket says so once and hears all the same.
    """

    def __init__(
        self,
        path: Path,
        answer: Callable[[str], Answer],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._answer = answer
        self._monotonic = monotonic
        self._doorway: private_socket.Doorway | None = None
        self._stop_here, self._stop_there = socket.socketpair()
        self._clients: dict[socket.socket, _Client] = {}
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self.refused = 0
        """Connections that were closed without an answer: strangers, and those above a bound."""

    def counters(self) -> Mapping[str, int]:
        """Return how often somebody was turned away. Any thread may ask."""
        return {"control_refused": self.refused}

    def __enter__(self) -> Self:
        try:
            self._doorway = private_socket.Doorway(self._path, self._monotonic)
        except OSError as error:
            told = CONTROL_TROUBLE.told(PLACE=self._path, REASON=error)
            _LOGGER.warning("no control socket at %s: %s", self._path, error, extra=told)
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
        while self._serve(self._doorway):
            pass
        for client in list(self._clients.values()):
            self._part(client)

    def _serve(self, doorway: private_socket.Doorway) -> bool:
        """Do once what there is to do; False at a stop."""
        ready = self._wait(doorway)
        if self._stop_there in ready:
            return False
        for client in [each for one, each in self._clients.items() if one in ready]:
            self._go_on(client)
        if doorway.listener in ready:
            self._meet(doorway)
        now = self._monotonic()
        for client in [each for each in self._clients.values() if now >= each.deadline]:
            self._part(client)
        return True

    def _wait(self, doorway: private_socket.Doorway) -> frozenset[socket.socket]:
        """Wait for whoever comes, asks, listens or is late, or for a stop."""
        wanted = [(client.socket, client.wants) for client in self._clients.values()]
        reading = (self._stop_there, *doorway.open_again())
        wanted += [(one, selectors.EVENT_READ) for one in reading]
        due = [client.deadline for client in self._clients.values()]
        if doorway.opens_at is not None:
            due.append(doorway.opens_at)
        return private_socket.wait(wanted, min(due) - self._monotonic() if due else None)

    def _meet(self, doorway: private_socket.Doorway) -> None:
        """Accept one connection; the next ones after what those that are there have asked."""
        accepted = doorway.accept()
        if accepted is None:
            return
        if not doorway.is_welcome(accepted):
            self.refused += 1
            accepted.close()
            return
        user = private_socket.peer_user(accepted)
        self._make_room(user)
        client = _Client(accepted, user, self._monotonic() + CLIENT_S)
        self._clients[accepted] = client
        self._go_on(client)  # what it asks is there already, as a rule

    def _make_room(self, user: int) -> None:
        """Close the oldest connection of who has too many."""
        having = [client.user for client in self._clients.values()]
        if having.count(user) < MAX_OF_ONE_USER:
            if len(having) < MAX_CLIENTS:
                return
            user = max(having, key=having.count)
        self.refused += 1
        self._part(next(client for client in self._clients.values() if client.user == user))

    def _go_on(self, client: "_Client") -> None:
        """Read or write what is possible right now; a connection that is done with ends."""
        try:
            if not client.answer:
                self._hear(client)
            if client.answer and not client.send():
                return
        except BlockingIOError:
            return
        except OSError as error:  # it went away
            _LOGGER.debug("a control client was not answered: %s", error)
        self._part(client)

    def _hear(self, client: "_Client") -> None:
        """Take a request as far as it has come; raises BlockingIOError if it is not whole."""
        if not client.is_asked():
            return
        word = client.word()
        reply = self._answer(word) if word else {"error": "expected one word and a line feed"}
        client.answer = json.dumps(reply).encode() + b"\n"
        client.deadline = self._monotonic() + CLIENT_S

    def _part(self, client: "_Client") -> None:
        del self._clients[client.socket]
        client.socket.close()


class _Client:
    """One connection. Lives in the thread "control"."""

    def __init__(self, client: socket.socket, user: int, deadline: float) -> None:
        self.socket = client
        self.user = user
        self.deadline = deadline
        """When it is closed if nothing more has happened."""
        self.answer = b""
        """What it has not taken yet of its answer; empty: it has not asked yet."""
        self._asked = b""

    @property
    def wants(self) -> int:
        """What it is waited for to be able to do."""
        return selectors.EVENT_WRITE if self.answer else selectors.EVENT_READ

    def is_asked(self) -> bool:
        """Read on; True when the line is whole, or too long, False when it ended before.

        Raises BlockingIOError when there is nothing to read yet.
        """
        while b"\n" not in self._asked and len(self._asked) <= MAX_REQUEST:
            more = self.socket.recv(MAX_REQUEST + 1)
            if not more:
                return False
            self._asked += more
        return True

    def word(self) -> str:
        """Return the request; empty if it is none."""
        line, end, _ = self._asked.partition(b"\n")
        return line.decode("ascii", "replace").strip() if end else ""

    def send(self) -> bool:
        """Hand over what the connection takes right now, and return whether that was all."""
        sent = self.socket.send(self.answer)
        if sent == len(self.answer):
            return True
        self.answer = self.answer[sent:]
        return False
