"""The service manager's ear: a real socket that takes what ``NOTIFY_SOCKET`` is told."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SOON_S: Final = 20.0
"""A deadline for things that take a second or two, on a machine with other work."""


@dataclass(frozen=True, slots=True)
class Message:
    at: float
    """When it came, by the monotonic clock."""
    values: Mapping[str, str]


class NotifySocket:
    """Listens inside a ``with``. Its thread collects; any thread may read."""

    def __init__(self, folder: Path, *, abstract: bool = False) -> None:
        name = f"jarvis-ear-test-{os.getpid()}-{id(self)}"
        self.address = f"@{name}" if abstract else str(folder / "notify")
        """What belongs into ``NOTIFY_SOCKET``."""
        self._changed = threading.Condition()
        self._messages: list[Message] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        at = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        self._socket.bind(at)
        self._socket.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(SOON_S)
        self._socket.close()

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, "INVOCATION_ID": "0123456789abcdef" * 2}

    @property
    def messages(self) -> list[Message]:
        with self._changed:
            return list(self._messages)

    def told(self, name: str) -> list[str]:
        return [each.values[name] for each in self.messages if name in each.values]

    def wait_for(self, name: str, value: str = "", *, after: int = 0) -> Message:
        """Wait until ``name`` is given something with ``value`` in it; skip ``after`` messages."""

        def found() -> Message | None:
            fit = (m for m in self._messages[after:] if name in m.values)
            return next((message for message in fit if value in message.values[name]), None)

        return self._wait(found, f"{name}={value}")

    def _wait(self, found: Callable[[], Message | None], wanted: str) -> Message:
        with self._changed:
            self._changed.wait_for(lambda: found() is not None, SOON_S)
            message = found()
            said = "\n".join(str(dict(each.values)) for each in self._messages)
            assert message is not None, f"never {wanted!r}:\n{said}"
            return message

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                data = self._socket.recv(4096)
            except TimeoutError:
                continue
            pairs = (line.partition("=") for line in data.decode().splitlines())
            message = Message(time.monotonic(), {name: value for name, _, value in pairs})
            with self._changed:
                self._messages.append(message)
                self._changed.notify_all()
