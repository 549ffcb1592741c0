"""Journal handler: log records with fields, sent to the socket of systemd-journald."""

import logging
import select
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from jarvis_ear.log.redact import Value, entry

SOCKET: Final = Path("/run/systemd/journal/socket")

SEND_TIMEOUT_MS: Final = 20
"""A working journal needs less; the ear tolerates a delay of one frame (20 ms)."""


class JournalSocket:
    """Sends records to the journal. Any thread may use it, one at a time.

    The log set-up opens and closes it. A send waits at most 20 ms for room, and after a failure not
    at all until a record is accepted. It reconnects after an error, because a restarted journal
    may listen on a new socket of the same name.
    """

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = path
        self._library = _library() if path == SOCKET else None
        self._socket: socket.socket | None = None
        self._timeout_ms = SEND_TIMEOUT_MS

    def open(self) -> None:
        """Connect; raise ``OSError`` if there is no journal."""
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            opened.connect(str(self._path))
        except OSError:
            opened.close()
            raise
        self._socket = opened

    def send(self, entry: Mapping[str, Value]) -> None:
        """Send a record; raise ``OSError`` if it is lost."""
        if self._socket is None:
            self.open()
        try:
            self._send(entry)
        except BlockingIOError:  # the journal is busy
            self._timeout_ms = 0
            raise
        except OSError:
            self.close()
            raise
        self._timeout_ms = SEND_TIMEOUT_MS

    def close(self) -> None:
        """Close the socket."""
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()

    def _send(self, entry: Mapping[str, Value]) -> None:
        assert self._socket is not None  # noqa: S101 - opened above
        if not _has_room(self._socket, self._timeout_ms):
            raise BlockingIOError("the journal does not accept a record now")
        if self._library is None:
            self._socket.send(datagram(entry))
        else:
            self._library(*(f"{name}={value}" for name, value in entry.items()))


def datagram(entry: Mapping[str, Value]) -> bytes:
    """Encode a record, see https://systemd.io/JOURNAL_NATIVE_PROTOCOL."""
    return b"".join(
        _field(name, str(value).encode(errors="replace")) for name, value in entry.items()
    )


def _field(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return b"%s=%s\n" % (name.encode(), value)
    return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def _has_room(connected: socket.socket, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(connected, select.POLLOUT)
    return bool(poll.poll(timeout_ms))  # true for an error too, which send() then raises


def _library() -> Callable[..., None] | None:
    """Return the send function of systemd-python, which takes strings of the form NAME=value."""
    try:
        from systemd.journal import sendv  # noqa: PLC0415 - imported only when needed
    except ImportError:
        return None
    found: Callable[..., None] = sendv
    return found


class JournalHandler(logging.Handler):
    """Log handler for the journal. The log set-up owns it; any thread logs, one at a time.

    A record that the journal does not accept is dropped and counted, so that no thread of the ear
    hangs. The next accepted record says how many are missing.
    """

    def __init__(self, journal: JournalSocket) -> None:
        super().__init__()
        self._journal = journal
        self.lost = 0
        """Records that the journal did not accept."""
        self._unreported = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        fields = entry(record)
        if self._unreported:
            fields["RECORDS_LOST"] = self._unreported
        try:
            self._journal.send(fields)
        except OSError:
            self.lost += 1
            self._unreported += 1
        else:
            self._unreported = 0

    def close(self) -> None:
        """Close the connection to the journal."""
        self._journal.close()
        super().close()
