"""Notifier: messages to the service manager, see sd_notify(3).

They are sent by the systemd library if it is installed, otherwise as a datagram. Neither blocks if
the manager does not read: a message that does not fit is dropped.
"""

import os
import select
import socket
from collections.abc import Callable, Mapping, MutableMapping
from typing import TypeAlias

from jarvis_ear.process import ADDRESS, WATCHDOG

Send: TypeAlias = Callable[[socket.socket, str], None]
"""Sends one message through a connected socket; raises ``OSError``."""


class Notifier:
    """Connection to the service manager. Owned by the main thread. Never blocks, never raises.

    A message that cannot be sent at once is dropped and counted (``dropped``). With an empty
    address there is no service manager, and nothing is sent.
    """

    def __init__(self, address: str, send: Send) -> None:
        self._address = address
        self._send = send
        self.dropped = 0
        """Messages that the manager had no room for."""

    def counters(self) -> Mapping[str, int]:
        """Return the count of dropped messages. Any thread may call it."""
        return {"notifications_dropped": self.dropped}

    def tell(self, *assignments: str) -> None:
        """Send assignments such as ``READY=1`` in one message."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)  # noqa: FBT003 - the standard library's signature
                line.connect(self._address)
                self._send(line, "\n".join(assignments))
        except OSError:
            self.dropped += 1


def open_notifier(environ: MutableMapping[str, str]) -> Notifier:
    """Make the notifier that ``environ`` asks for. Call it before any thread starts.

    It removes the address from the environment, which is not safe while threads run. The address
    stays there only for the systemd library, which reads it at every call.
    """
    address = environ.get(ADDRESS, "")
    send = _library() if address[:1] in ("/", "@") else None
    if send is None:
        environ.pop(ADDRESS, None)
    if address[:1] not in ("/", "@"):
        return Notifier("", _datagram)
    return Notifier("\0" + address[1:] if address[0] == "@" else address, send or _datagram)


def watchdog_s(environ: MutableMapping[str, str]) -> float:
    """Take the watchdog's time-out in seconds from ``environ``; 0: no watchdog for this process."""
    wanted, process = (environ.pop(name, "") for name in WATCHDOG)
    if not wanted.isdecimal() or process not in ("", str(os.getpid())):
        return 0.0
    return int(wanted) / 1e6


def _datagram(line: socket.socket, text: str) -> None:
    line.send(text.encode())


def _library() -> Send | None:
    try:
        from systemd.daemon import notify  # noqa: PLC0415 - may not be installed
    except ImportError:
        return None

    def send(line: socket.socket, text: str) -> None:
        _require_room(line)  # notify() would block
        notify(text)

    return send


def _require_room(line: socket.socket) -> None:
    room = select.poll()
    room.register(line, select.POLLOUT)
    if not room.poll(0):
        raise BlockingIOError("the service manager does not listen")
