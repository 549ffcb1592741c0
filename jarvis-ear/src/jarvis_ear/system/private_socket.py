"""Sockets in the runtime folder that only some users may use.

The user of the ear and root are welcome; so is the group of the ear where the folder is open to
that group, as that of the service is.
"""

import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final

PROBE_S: Final = 1.0
"""An ear that lives accepts at once; one that hangs may keep its socket."""

WAITING: Final = 8
"""Connections that may wait for the one before them; more are refused by the kernel."""

SO_PEERGROUPS: Final = 59
"""Asks the kernel for the other side's further groups; Python has no name for it (socket.h)."""

MAX_GROUPS: Final = 256
"""Of one user; who is in more has to ask as root."""

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: see unix(7)


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
