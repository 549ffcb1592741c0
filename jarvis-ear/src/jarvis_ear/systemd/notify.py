"""Notify: what the service manager is told, see sd_notify(3).

The library of systemd says it where it is installed, a datagram of our own where it is not. Either
way a manager that does not listen costs nothing: what there is no room for is left out.
"""

import os
import select
import socket
from collections.abc import Callable, Mapping, MutableMapping
from typing import TypeAlias

from jarvis_ear.process import ADDRESS, WATCHDOG

Send: TypeAlias = Callable[[socket.socket, str], None]
"""Says one message, given a socket that is connected to whom it is for; or raises OSError."""


class Notifier:
    """Talks to the service manager. Owned by the main thread. Never waits, never raises.

    What cannot be said at once is left out and counted (``dropped``).
    """

    def __init__(self, address: str, send: Send) -> None:
        self._address = address
        self._send = send
        self.dropped = 0
        """Messages that the manager had no room for."""

    def counters(self) -> Mapping[str, int]:
        """Return what the manager was not told. Any thread may ask."""
        return {"notifications_dropped": self.dropped}

    def tell(self, *assignments: str) -> None:
        """Say ``READY=1`` and the like, all in one message."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)  # noqa: FBT003 - the standard library's signature
                line.connect(self._address)
                self._send(line, "\n".join(assignments))
        except OSError:
            self.dropped += 1


class NoNotifier:
    """Stands where no service manager wants to know. Any thread may use it."""

    def counters(self) -> Mapping[str, int]:
        """Count nothing."""
        return {"notifications_dropped": 0}

    def tell(self, *assignments: str) -> None:
        """Tell nobody."""


AnyNotifier: TypeAlias = Notifier | NoNotifier


def open_notifier(environ: MutableMapping[str, str]) -> AnyNotifier:
    """Find out who wants to be told. Before there are threads: it changes the environment.

    The address goes out of it; only the library has to find it there at every call, because it
    reads nothing else, and changing the environment of threads that run is not safe.
    """
    said = environ.get(ADDRESS, "")
    if said[:1] not in ("/", "@"):
        environ.pop(ADDRESS, None)
        return NoNotifier()
    send = _library()
    if send is None:
        del environ[ADDRESS]
    return Notifier("\0" + said[1:] if said[0] == "@" else said, send or _datagram)


def watchdog_s(environ: MutableMapping[str, str]) -> float:
    """Take the time out of which a watchdog must not stay unfed; 0: there is none for us."""
    wanted, process = (environ.pop(name, "") for name in WATCHDOG)
    if not wanted.isdecimal() or process not in ("", str(os.getpid())):
        return 0.0
    return int(wanted) / 1e6


def _datagram(line: socket.socket, text: str) -> None:
    line.send(text.encode())


def _library() -> Send | None:
    try:
        from systemd.daemon import notify  # noqa: PLC0415 - it may not be installed
    except ImportError:
        return None

    def send(line: socket.socket, text: str) -> None:
        _require_room(line)  # the library would wait for it
        notify(text)

    return send


def _require_room(line: socket.socket) -> None:
    room = select.poll()
    room.register(line, select.POLLOUT)
    if not room.poll(0):
        raise BlockingIOError("the service manager does not listen")
