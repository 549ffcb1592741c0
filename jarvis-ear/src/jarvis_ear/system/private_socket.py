"""Sockets in the runtime folder that only some users may use.

The user of the ear and root are welcome; so is the group of the ear where the folder is open to
that group, as that of the service is. Whoever asks believes no more than that either: the folder
and the process that answers must belong to the user who asks, to root, or to the service's user.
"""

import errno
import logging
import os
import pwd
import selectors
import socket
import stat
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from jarvis_ear.errors import Impostor

SERVICE_USER: Final = "jarvis-ear"
"""Who runs the ear that is installed as a service."""

PROBE_S: Final = 1.0
"""An ear that lives accepts at once; one that hangs may keep its socket."""

WAITING: Final = 64
"""Connections that may wait for the ones before them; more have to wait for a place."""

SO_PEERGROUPS: Final = 59
"""Asks the kernel for the other side's further groups; Python has no name for it (socket.h)."""

MAX_GROUPS: Final = 256
"""Of one user; who is in more has to ask as root."""

RETRY_S: Final = 0.25
"""Without descriptors, nobody is accepted for so long: some may be free then."""

_LOGGER = logging.getLogger(__name__)

_TIMEVAL: Final = struct.Struct("ll")  # seconds, microseconds: see socket(7), SO_SNDTIMEO
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: see unix(7)


class Doorway:
    """A socket that those who are welcome may connect to.

    Made and closed by the owner of a thread, and used by that thread in between. While the
    process has no descriptor left for a connection, who wants one is left to wait.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        """Open the socket, or raise OSError."""
        self._path = path
        self._monotonic = monotonic
        self.listener, self._group = listen(path)
        self.opens_at: float | None = None
        """When the listener is to be looked at again, in seconds of that clock; None: now."""

    def open_again(self) -> tuple[socket.socket, ...]:
        """Return the listener, or nothing while there is no descriptor for whoever comes."""
        if self.opens_at is not None and self._monotonic() < self.opens_at:
            return ()
        self.opens_at = None
        return (self.listener,)

    def accept(self) -> socket.socket | None:
        """Accept one connection, for calls that do not wait; None if that is not possible."""
        try:
            client = self.listener.accept()[0]
        except OSError as error:
            _LOGGER.debug("nobody could be accepted: %s", error)
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):  # it did not go away
                self.opens_at = self._monotonic() + RETRY_S
            return None
        client.settimeout(0)
        return client

    def is_welcome(self, client: socket.socket) -> bool:
        """Whether whoever connected may be here."""
        return is_welcome(client, self._group)

    def close(self) -> None:
        """Close the socket, and remove it from its folder."""
        self.listener.close()
        self._path.unlink(missing_ok=True)


def wait(
    wanted: Iterable[tuple[socket.socket, int]], within_s: float | None
) -> frozenset[socket.socket]:
    """Wait until one of these can be read or written, as ``selectors`` names it; return them.

    Any number of descriptors will do, and none is needed for the waiting.
    """
    with selectors.PollSelector() as poll:
        for one, events in wanted:
            poll.register(one, events)
        ready = poll.select(None if within_s is None else max(0.0, within_s))
        return frozenset(key.fileobj for key, _ in ready if isinstance(key.fileobj, socket.socket))


def listen(path: Path) -> tuple[socket.socket, int | None]:
    """Open the socket, in place of one that nobody answers on; or raise OSError.

    Returns it, for calls that do not wait, and the group that is welcome too.
    """
    group = _invited_group(path.parent)
    if _is_answered(path):
        raise OSError("another ear answers there")
    path.unlink(missing_ok=True)
    mode = 0o600 if group is None else 0o660
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), mode)  # what bind() makes has this mode from the beginning
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen(WAITING)
        listener.settimeout(0)
    except BaseException:
        listener.close()
        raise
    return listener, group


def is_welcome(client: socket.socket, group: int | None) -> bool:
    """Whether whoever connected is our own user, or root, or in ``group``."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, gid = _CREDENTIALS.unpack(raw)
    if uid in (0, os.geteuid()):
        return True
    return group is not None and group in {gid, *_groups(client)}


def connect(path: Path, within_s: float) -> socket.socket:
    """Connect to the socket of a running ear, with a time-out in seconds; 0: never wait for it.

    Raises ``FileNotFoundError`` or ``ConnectionRefusedError`` where there is no ear, another
    ``OSError`` where there is one that we cannot reach, and ``Impostor`` where the folder or the
    process at the other end is not to be believed. Any thread.
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
    """Have the kernel wait for a place among those who wait: with a time-out Python would not."""
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
    """Return the user at the other end, as the kernel noted when it connected or listened."""
    raw = one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(raw)
    return int(uid)


def _require_trusted_folder(folder: Path) -> None:
    """Refuse a folder into which somebody else could have put a socket; or raise OSError.

    A link to it is followed if whoever made the link is to be believed.
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
    except KeyError:  # it is not installed
        return frozenset({0, os.geteuid()})
    return frozenset({0, os.geteuid(), service})


def _invited_group(folder: Path) -> int | None:
    """Return the group that may enter the folder of the socket, if it is ours and may."""
    found = folder.stat()
    is_open = found.st_mode & stat.S_IXGRP and not found.st_mode & stat.S_IRWXO
    return found.st_gid if is_open and found.st_gid == os.getegid() else None


def _groups(client: socket.socket) -> tuple[int, ...]:
    size = struct.calcsize("i")
    try:
        raw = client.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, size * MAX_GROUPS)
    except OSError:  # in more groups than we ask for
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
