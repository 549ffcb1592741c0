"""Private Unix sockets: listening, connecting, and the credentials of the peer (unix(7))."""

import errno
import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from jarvis_ear.errors import Impostor

_LOGGER = logging.getLogger(__name__)

SERVICE_USER: Final = "jarvis-ear"
"""The user of an ear that is installed as a service."""

PROBE_S: Final = 1.0
"""Seconds; a running ear accepts at once, and a hung one keeps its socket."""

BACKLOG: Final = 64
"""Clients that may wait to be accepted; further ones block in connect()."""

SO_PEERGROUPS: Final = 59
"""Socket option: the peer's supplementary groups; Python has no name for it (socket.h)."""

MAX_GROUPS: Final = 256
"""Supplementary groups of one user; a user with more has to use the socket as root."""

RETRY_S: Final = 0.25
"""Seconds without accepting after the process has run out of descriptors."""

_TIMEVAL: Final = struct.Struct("ll")  # seconds, microseconds: see socket(7), SO_SNDTIMEO
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: see unix(7)


class ListeningSocket:
    """A listening socket that checks its clients.

    The owner of a thread creates and closes it; in between, that thread uses it. While the
    process has no descriptor left, clients wait in the backlog.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        """Open the socket, and replace one that no process answers on; or raise ``OSError``."""
        self.path = path
        self._monotonic = monotonic
        self._group = _trusted_group(path.parent)
        if _is_answered(path):
            raise OSError("another ear answers there")
        path.unlink(missing_ok=True)
        mode = 0o600 if self._group is None else 0o660
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(self.socket.fileno(), mode)  # bind() then creates the file with this mode
            self.socket.bind(str(path))
            path.chmod(mode)
            self.socket.listen(BACKLOG)
            self.socket.settimeout(0)
        except BaseException:
            self.socket.close()
            raise
        self.retry_at = float("-inf")
        """When to poll the socket again, in seconds of that clock."""

    def accept(self) -> socket.socket | None:
        """Accept one connection and make it non-blocking; None if that is not possible."""
        try:
            client = self.socket.accept()[0]
        except OSError as error:
            _LOGGER.debug("cannot accept a connection: %s", error)
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):  # the client still waits
                self.retry_at = self._monotonic() + RETRY_S
            return None
        client.settimeout(0)
        return client

    def is_permitted(self, client: socket.socket) -> bool:
        """Whether the client is our own user, root or a member of the trusted group."""
        uid, gid = peer_credentials(client)
        if uid in (0, os.geteuid()):
            return True
        return self._group is not None and self._group in {gid, *_groups(client)}

    def close(self) -> None:
        """Close the socket, and remove its file."""
        self.socket.close()
        self.path.unlink(missing_ok=True)


def connect(path: Path, timeout_s: float) -> socket.socket:
    """Connect to the socket of a running ear, with a time-out in seconds; 0: non-blocking.

    Raises ``FileNotFoundError`` or ``ConnectionRefusedError`` if there is no ear, another
    ``OSError`` if there is one that cannot be reached, and ``Impostor`` if the folder or the
    process at the other end is not trusted. Any thread.
    """
    _require_trusted_folder(path.parent)
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(ear, path, timeout_s)
        _require_trusted(peer_credentials(ear)[0], f"{path} is answered by")
    except BaseException:
        ear.close()
        raise
    return ear


def peer_credentials(connection: socket.socket) -> tuple[int, int]:
    """Return the peer's user and group ids, as of its call of connect() or listen()."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, gid = _CREDENTIALS.unpack(raw)
    return uid, gid


def _connect(ear: socket.socket, path: Path, timeout_s: float) -> None:
    """Let the kernel wait for a place in the backlog; Python's own time-out does not do that."""
    if timeout_s:
        whole = int(timeout_s)
        timeval = _TIMEVAL.pack(whole, int((timeout_s - whole) * 1_000_000))
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
    else:
        ear.settimeout(0)
    try:
        ear.connect(str(path))
    except BlockingIOError:
        raise TimeoutError(f"the ear at {path} does not accept connections") from None
    ear.settimeout(timeout_s)


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
    trusted = {0, os.geteuid()}
    with suppress(KeyError):  # the service is not installed
        trusted.add(pwd.getpwnam(SERVICE_USER).pw_uid)
    if user not in trusted:
        raise Impostor(
            f"{what} user {user}, expected you, root or the user {SERVICE_USER}: not connected"
        )


def _trusted_group(folder: Path) -> int | None:
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
