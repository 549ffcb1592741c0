"""A journal that keeps what it is sent: the receiving side of its native protocol."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self


class FakeJournal:
    """Listens on a socket like the journal's. Owned by one test; reads only when asked.

    The kernel lets about ten records wait; ``keep_up`` is for tests that write more at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self.path))
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def vanish(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self.path.unlink()
            self._socket = None

    def read(self) -> list[dict[str, str]]:
        """Return every record that has arrived since the last call."""
        return [dict(parse(data)) for data in self._datagrams()]

    @contextmanager
    def keep_up(self) -> Iterator[list[dict[str, str]]]:
        """Read all the time; the list is complete at the end."""
        assert self._socket is not None
        listening, kept = self._socket, list[dict[str, str]]()
        done = threading.Event()

        def work() -> None:
            while not done.is_set():
                select.select([listening], [], [], 0.05)
                kept.extend(self.read())

        reader = threading.Thread(target=work)
        reader.start()
        try:
            yield kept
        finally:
            done.set()
            reader.join()
            kept.extend(self.read())

    def _datagrams(self) -> Iterator[bytes]:
        assert self._socket is not None
        while True:
            try:
                yield self._socket.recv(1_000_000)
            except BlockingIOError:
                return


def parse(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields of one record; a ValueError says that it is none."""
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + length], data[8 + length :]
            if data[:1] != b"\n":
                raise ValueError(f"field {name!r} does not end where it says")
            data = data[1:]
        yield name.decode(), value.decode()
