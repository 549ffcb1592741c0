"""Sockets in the runtime folder that only we ourselves, and root, may use."""

import os
import socket
import struct
from pathlib import Path
from typing import Final

PROBE_S: Final = 1.0
"""An ear that lives accepts at once; one that hangs may keep its socket."""

WAITING: Final = 8
"""Connections that may wait for the one before them; more are refused by the kernel."""

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: see unix(7)


def listen(path: Path) -> socket.socket:
    """Open the socket for us alone, in place of one that nobody answers on; or raise OSError."""
    if _is_answered(path):
        raise OSError("another ear answers there")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # what bind() makes has this mode from the beginning
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(WAITING)
    except BaseException:
        listener.close()
        raise
    return listener


def is_ours(client: socket.socket) -> bool:
    """Whether whoever connected is our own user, or root."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(raw)
    return uid in (0, os.geteuid())


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True
