"""The journal: records with fields, sent to systemd's socket."""

import logging
import select
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from jarvis_ear.log.redact import Value, entry

SOCKET: Final = Path("/run/systemd/journal/socket")

PATIENCE_MS: Final = 20
"""A journal that works makes room in less; the ear can lose the time of one frame, once."""


class JournalSocket:
    """Sends records to the journal. One thread at a time, whichever it is.

    Opened and closed by whoever sets up logging. It waits for room for 20 ms at most, and not again
    until a record was taken. Connected anew after an error, because a journal that is started again
    may listen on a new socket of the same name.
    """

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = path
        self._library = _library() if path == SOCKET else None
        self._socket: socket.socket | None = None
        self._patience_ms = PATIENCE_MS

    def open(self) -> None:
        """Connect, or raise OSError: there is no journal here."""
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            opened.connect(str(self._path))
        except OSError:
            opened.close()
            raise
        self._socket = opened

    def send(self, entry: Mapping[str, Value]) -> None:
        """Hand over a record, or raise OSError: it is lost then."""
        if self._socket is None:
            self.open()
        try:
            self._send(entry)
        except BlockingIOError:  # it is there, and busy
            self._patience_ms = 0
            raise
        except OSError:
            self.close()
            raise
        self._patience_ms = PATIENCE_MS

    def close(self) -> None:
        """Let go of the socket."""
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()

    def _send(self, entry: Mapping[str, Value]) -> None:
        assert self._socket is not None  # noqa: S101 - opened above
        if not _has_room(self._socket, self._patience_ms):
            raise BlockingIOError("the journal takes nothing now")
        if self._library is None:
            self._socket.send(datagram(entry))
        else:
            self._library(*(f"{name}={value}" for name, value in entry.items()))


def datagram(entry: Mapping[str, Value]) -> bytes:
    """Write a record as the journal reads it: https://systemd.io/JOURNAL_NATIVE_PROTOCOL."""
    return b"".join(
        _field(name, str(value).encode(errors="replace")) for name, value in entry.items()
    )


def _field(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return b"%s=%s\n" % (name.encode(), value)
    return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def _has_room(connected: socket.socket, patience_ms: int) -> bool:
    poll = select.poll()
    poll.register(connected, select.POLLOUT)
    return bool(poll.poll(patience_ms))  # an error counts too: sending tells which one


def _library() -> Callable[..., None] | None:
    """Return systemd-python's sender, which takes texts of the form NAME=value."""
    try:
        from systemd.journal import sendv  # noqa: PLC0415 - looked for only where it is needed
    except ImportError:
        return None
    found: Callable[..., None] = sendv
    return found


class JournalHandler(logging.Handler):
    """Made and closed by whoever sets up logging; any thread logs, one at a time.

    A record that the journal does not take is dropped and counted: no thread of the ear hangs with
    it. The next one that gets through says how many are missing.
    """

    def __init__(self, journal: JournalSocket) -> None:
        super().__init__()
        self._journal = journal
        self.lost = 0
        """Records that the journal did not take."""
        self._untold = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over a record."""
        told = entry(record)
        if self._untold:
            told["RECORDS_LOST"] = self._untold
        try:
            self._journal.send(told)
        except OSError:
            self.lost += 1
            self._untold += 1
        else:
            self._untold = 0

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()
        super().close()
