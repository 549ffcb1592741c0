"""Control: answers what `jarvis-ear status`, `mute`, `unmute` and `toggle` ask.

A request is one word and a line feed; an answer is one JSON object and a line feed; then the
connection ends. The user of the ear and root get an answer; so does the group of the ear where the
socket's folder is open to that group, as that of the service is.
"""

import json
import logging
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypeAlias

from jarvis_ear.journal.life import CONTROL_TROUBLE

Answer: TypeAlias = Mapping[str, object]

MAX_REQUEST: Final = 64
"""Bytes: the longest word we know has six."""

CLIENT_S: Final = 1.0
"""Whoever asks has so long for asking, and so long for listening; the next one waits behind."""

LOOK_S: Final = 0.25
"""A stop is noticed so soon."""

WAITING: Final = 8
"""Connections that may wait for the one before them; more are refused by the kernel."""

SO_PEERGROUPS: Final = 59
"""Asks the kernel for the other side's further groups; Python has no name for it (socket.h)."""

MAX_GROUPS: Final = 256
"""Of one user; who is in more has to ask as root."""

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: see unix(7)
_LOGGER = logging.getLogger(__name__)


class Control:
    """Owns the socket and the thread "control" that answers on it, inside a ``with``.

    ``answer`` is called in that thread, one request at a time, and must not wait for the ear. An
    ear that cannot have the socket says so once and hears all the same.
    """

    def __init__(self, path: Path, answer: Callable[[str], Answer]) -> None:
        self._path = path
        self._answer = answer
        self._listener: socket.socket | None = None
        self._group: int | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._group = _invited_group(self._path.parent)
            self._listener = _listen(self._path, 0o600 if self._group is None else 0o660)
        except OSError as error:
            told = CONTROL_TROUBLE.told(PLACE=self._path, REASON=error)
            _LOGGER.warning("no control socket at %s: %s", self._path, error, extra=told)
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._listener is None:
            return
        self._thread.join(LOOK_S + 2 * CLIENT_S)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            client = self._accept()
            if client is not None:
                with client:
                    self._serve(client)

    def _accept(self) -> socket.socket | None:
        assert self._listener is not None  # noqa: S101 - the thread is started with it
        try:
            return self._listener.accept()[0]
        except TimeoutError:
            return None
        except OSError as error:  # no descriptors left: the ear needs none, and may free some
            _LOGGER.debug("nobody could be answered: %s", error)
            self._stopping.wait(LOOK_S)
            return None

    def _serve(self, client: socket.socket) -> None:
        if not _may_ask(client, group=self._group):
            return
        try:
            word = _read_word(client)
            reply = self._answer(word) if word else {"error": "expected one word and a line feed"}
            client.settimeout(CLIENT_S)
            client.sendall(json.dumps(reply).encode() + b"\n")
        except OSError as error:  # it went away, or is too slow
            _LOGGER.debug("a control client was not answered: %s", error)


def _invited_group(folder: Path) -> int | None:
    """Return the group that may enter the folder of the socket, if it is ours and may."""
    found = folder.stat()
    is_open = found.st_mode & stat.S_IXGRP and not found.st_mode & stat.S_IRWXO
    return found.st_gid if is_open and found.st_gid == os.getegid() else None


def _listen(path: Path, mode: int) -> socket.socket:
    """Open the socket with this mode, in place of one that nobody answers on."""
    if _is_answered(path):
        raise OSError("another ear answers there")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), mode)  # what bind() makes has this mode from the beginning
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen(WAITING)
        listener.settimeout(LOOK_S)
    except BaseException:
        listener.close()
        raise
    return listener


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CLIENT_S)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


def _may_ask(client: socket.socket, *, group: int | None) -> bool:
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, gid = _CREDENTIALS.unpack(raw)
    if uid in (0, os.geteuid()):
        return True
    return group is not None and group in {gid, *_groups(client)}


def _groups(client: socket.socket) -> tuple[int, ...]:
    size = struct.calcsize("i")
    try:
        raw = client.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, size * MAX_GROUPS)
    except OSError:  # in more groups than we ask for
        return ()
    return struct.unpack(f"{len(raw) // size}i", raw)


def _read_word(client: socket.socket) -> str:
    """Read one line; empty if it is too long or does not come in time."""
    deadline = time.monotonic() + CLIENT_S
    got = b""
    while b"\n" not in got:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or len(got) > MAX_REQUEST:
            return ""
        client.settimeout(left_s)
        more = client.recv(MAX_REQUEST + 1)
        if not more:
            return ""
        got += more
    return got.partition(b"\n")[0].decode("ascii", "replace").strip()
