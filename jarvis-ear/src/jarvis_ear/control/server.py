"""Control server: a private Unix socket that answers the commands of the command line."""

import errno
import json
import logging
import os
import pwd
import selectors
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Self, TypeAlias

from jarvis_ear.errors import Impostor
from jarvis_ear.journal.life import CONTROL_TROUBLE

_LOGGER = logging.getLogger(__name__)

SERVICE_USER: Final = "jarvis-ear"
"""The user of an ear that is installed as a service."""

PROBE_S: Final = 1.0
"""Seconds; a running ear accepts at once, and a hung one keeps its socket."""

WAITING: Final = 64
"""Backlog of the listener; further clients block in connect()."""

SO_PEERGROUPS: Final = 59
"""Socket option: the peer's supplementary groups; Python has no name for it (socket.h)."""

MAX_GROUPS: Final = 256
"""Supplementary groups of one user; a user with more has to use the socket as root."""

RETRY_S: Final = 0.25
"""Seconds without accepting after the process has run out of descriptors."""


_TIMEVAL: Final = struct.Struct("ll")  # seconds, microseconds: see socket(7), SO_SNDTIMEO
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: see unix(7)


class Acceptor:
    """A listening socket with access control.

    The owner of a thread creates and closes it; in between, that thread uses it. While the
    process has no descriptor left, clients wait in the backlog.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        """Open the socket, or raise ``OSError``."""
        self._path = path
        self._monotonic = monotonic
        self.listener, self._group = listen(path)
        self.opens_at: float | None = None
        """When to poll the listener again, in seconds of that clock; None: now."""

    def open_again(self) -> tuple[socket.socket, ...]:
        """Return the listener, or nothing while there is no descriptor for a connection."""
        if self.opens_at is not None and self._monotonic() < self.opens_at:
            return ()
        self.opens_at = None
        return (self.listener,)

    def accept(self) -> socket.socket | None:
        """Accept one connection and make it non-blocking; None if that is not possible."""
        try:
            client = self.listener.accept()[0]
        except OSError as error:
            _LOGGER.debug("nobody could be accepted: %s", error)
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):  # the client still waits
                self.opens_at = self._monotonic() + RETRY_S
            return None
        client.settimeout(0)
        return client

    def is_welcome(self, client: socket.socket) -> bool:
        """Whether the client may use the socket."""
        return is_welcome(client, self._group)

    def close(self) -> None:
        """Close the socket, and remove its file."""
        self.listener.close()
        self._path.unlink(missing_ok=True)


def wait(
    wanted: Iterable[tuple[socket.socket, int]], within_s: float | None
) -> frozenset[socket.socket]:
    """Wait until some of these sockets are ready for their ``selectors`` events; return those.

    Uses poll(2): any number of descriptors is possible, and none is needed for the waiting.
    """
    with selectors.PollSelector() as poll:
        for one, events in wanted:
            poll.register(one, events)
        ready = poll.select(None if within_s is None else max(0.0, within_s))
        return frozenset(key.fileobj for key, _ in ready if isinstance(key.fileobj, socket.socket))


def listen(path: Path) -> tuple[socket.socket, int | None]:
    """Open the socket, and replace one that no process answers on; or raise ``OSError``.

    Returns the non-blocking listener, and the group that may use it too, if any.
    """
    group = _invited_group(path.parent)
    if _is_answered(path):
        raise OSError("another ear answers there")
    path.unlink(missing_ok=True)
    mode = 0o600 if group is None else 0o660
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), mode)  # bind() then creates the file with this mode
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen(WAITING)
        listener.settimeout(0)
    except BaseException:
        listener.close()
        raise
    return listener, group


def is_welcome(client: socket.socket, group: int | None) -> bool:
    """Whether the client is our own user, root or a member of ``group``."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, gid = _CREDENTIALS.unpack(raw)
    if uid in (0, os.geteuid()):
        return True
    return group is not None and group in {gid, *_groups(client)}


def connect(path: Path, within_s: float) -> socket.socket:
    """Connect to the socket of a running ear, with a time-out in seconds; 0: non-blocking.

    Raises ``FileNotFoundError`` or ``ConnectionRefusedError`` if there is no ear, another
    ``OSError`` if there is one that cannot be reached, and ``Impostor`` if the folder or the
    process at the other end is not trusted. Any thread.
    """
    _require_trusted_folder(path.parent)
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(ear, path, within_s)
        _require_trusted(peer_user(ear), f"{path} is answered by")
    except BaseException:
        ear.close()
        raise
    return ear


def _connect(one: socket.socket, path: Path, within_s: float) -> None:
    """Let the kernel wait for a place in the backlog; Python's own time-out does not do that."""
    if within_s:
        whole = int(within_s)
        until = _TIMEVAL.pack(whole, int((within_s - whole) * 1_000_000))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, until)
    else:
        one.settimeout(0)
    try:
        one.connect(str(path))
    except BlockingIOError:
        raise TimeoutError(f"the ear at {path} accepts nobody") from None
    one.settimeout(within_s)


def peer_user(one: socket.socket) -> int:
    """Return the peer's user id, as of its call of connect() or listen()."""
    raw = one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(raw)
    return int(uid)


def _require_trusted_folder(folder: Path) -> None:
    """Raise ``Impostor`` if an untrusted user could have created a socket in the folder.

    A symbolic link to it is followed if the owner of the link is trusted. May raise ``OSError``.
    """
    _require_trusted(folder.lstat().st_uid, f"{folder} belongs to")
    found = folder.stat()
    _require_trusted(found.st_uid, f"{folder} belongs to")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(found.st_mode)
        raise Impostor(f"others may write into {folder} (mode {mode:04o}), expected 0700 or 0750")


def _require_trusted(user: int, what: str) -> None:
    if user not in _trusted_users():
        expected = f"you, root or the user {SERVICE_USER}"
        raise Impostor(f"{what} user {user}, expected {expected}: it is not asked")


def _trusted_users() -> frozenset[int]:
    try:
        service = pwd.getpwnam(SERVICE_USER).pw_uid
    except KeyError:  # the service is not installed
        return frozenset({0, os.geteuid()})
    return frozenset({0, os.geteuid(), service})


def _invited_group(folder: Path) -> int | None:
    """Return our group if it may enter the folder of the socket and others may not; else None."""
    found = folder.stat()
    is_open = found.st_mode & stat.S_IXGRP and not found.st_mode & stat.S_IRWXO
    return found.st_gid if is_open and found.st_gid == os.getegid() else None


def _groups(client: socket.socket) -> tuple[int, ...]:
    size = struct.calcsize("i")
    try:
        raw = client.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, size * MAX_GROUPS)
    except OSError:  # more groups than MAX_GROUPS
        return ()
    return struct.unpack(f"{len(raw) // size}i", raw)


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


Answer: TypeAlias = Mapping[str, object]

MAX_REQUEST: Final = 64
"""Bytes; five times the longest command."""

CLIENT_S: Final = 1.0
"""Seconds in which a client must send its request, and again in which it must read the answer."""

MAX_CLIENTS: Final = 32
"""Simultaneous connections: people, scripts and a console that sends commands."""

MAX_OF_ONE_USER: Final = 8
"""Simultaneous connections of one user."""

STOP_S: Final = 1.0
"""Seconds; a stop interrupts every wait of the thread except the one for an answer."""


class Control:
    """Owns the socket and the thread "control" that answers on it, inside a ``with``.

    ``answer`` is called in that thread, one request at a time, and must not wait for the ear.
    Clients are answered in the order of their requests. Bound: ``MAX_OF_ONE_USER`` and
    ``MAX_CLIENTS``. Policy: a new connection closes the oldest one of that user, or else of the
    user with most. Counter: ``refused``, which includes users without permission. If the socket
    cannot be opened, one warning is logged and the ear works without it.
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
        self._doorway: Acceptor | None = None
        self._stop_here, self._stop_there = socket.socketpair()
        self._clients: dict[socket.socket, _Client] = {}
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self.refused = 0
        """Connections closed unanswered: users without permission, and those above a bound."""

    def counters(self) -> Mapping[str, int]:
        """Return the count of refused connections. Any thread may call it."""
        return {"control_refused": self.refused}

    def __enter__(self) -> Self:
        try:
            self._doorway = Acceptor(self._path, self._monotonic)
        except OSError as error:
            fields = CONTROL_TROUBLE.fields(PLACE=self._path, REASON=error)
            _LOGGER.warning("no control socket at %s: %s", self._path, error, extra=fields)
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

    def _serve(self, doorway: Acceptor) -> bool:
        """Run one iteration of the loop; False at a stop."""
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

    def _wait(self, doorway: Acceptor) -> frozenset[socket.socket]:
        """Wait for a new, readable, writable or late connection, or for a stop."""
        wanted = [(client.socket, client.wants) for client in self._clients.values()]
        reading = (self._stop_there, *doorway.open_again())
        wanted += [(one, selectors.EVENT_READ) for one in reading]
        due = [client.deadline for client in self._clients.values()]
        if doorway.opens_at is not None:
            due.append(doorway.opens_at)
        return wait(wanted, min(due) - self._monotonic() if due else None)

    def _meet(self, doorway: Acceptor) -> None:
        """Accept one connection per iteration, so that open ones are answered in between."""
        accepted = doorway.accept()
        if accepted is None:
            return
        if not doorway.is_welcome(accepted):
            self.refused += 1
            accepted.close()
            return
        user = peer_user(accepted)
        self._make_room(user)
        client = _Client(accepted, user, self._monotonic() + CLIENT_S)
        self._clients[accepted] = client
        self._go_on(client)  # its request has usually arrived already

    def _make_room(self, user: int) -> None:
        """Close the oldest connection of the user who has too many."""
        having = [client.user for client in self._clients.values()]
        if having.count(user) < MAX_OF_ONE_USER:
            if len(having) < MAX_CLIENTS:
                return
            user = max(having, key=having.count)
        self.refused += 1
        self._part(next(client for client in self._clients.values() if client.user == user))

    def _go_on(self, client: "_Client") -> None:
        """Read or write without blocking; close the connection when it is complete."""
        try:
            if not client.answer:
                self._hear(client)
            if client.answer and not client.send():
                return
        except BlockingIOError:
            return
        except OSError as error:  # the client has disconnected
            _LOGGER.debug("a control client was not answered: %s", error)
        self._part(client)

    def _hear(self, client: "_Client") -> None:
        """Read the request; raise ``BlockingIOError`` if it is not complete."""
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
    """One connection. Used by the thread "control"."""

    def __init__(self, client: socket.socket, user: int, deadline: float) -> None:
        self.socket = client
        self.user = user
        self.deadline = deadline
        """When the connection is closed if it is not complete."""
        self.answer = b""
        """Unsent rest of the answer; empty: there is no complete request yet."""
        self._asked = b""

    @property
    def wants(self) -> int:
        """The ``selectors`` event to wait for."""
        return selectors.EVENT_WRITE if self.answer else selectors.EVENT_READ

    def is_asked(self) -> bool:
        """Read on; True if the line is complete or too long, False if the client closed before.

        Raises ``BlockingIOError`` if there is nothing to read yet.
        """
        while b"\n" not in self._asked and len(self._asked) <= MAX_REQUEST:
            more = self.socket.recv(MAX_REQUEST + 1)
            if not more:
                return False
            self._asked += more
        return True

    def word(self) -> str:
        """Return the command; empty if the request is not a line."""
        line, end, _ = self._asked.partition(b"\n")
        return line.decode("ascii", "replace").strip() if end else ""

    def send(self) -> bool:
        """Send without blocking, and return whether everything is sent."""
        sent = self.socket.send(self.answer)
        if sent == len(self.answer):
            return True
        self.answer = self.answer[sent:]
        return False
