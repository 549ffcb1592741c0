"""Control: answers what `jarvis-ear status`, `mute`, `unmute` and `toggle` ask.

A request is one word and a line feed; an answer is one JSON object and a line feed; then the
connection ends. The user of the ear and root get an answer; so does the group of the ear where the
socket's folder is open to that group, as that of the service is.
"""

import json
import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypeAlias

from jarvis_ear.journal.life import CONTROL_TROUBLE
from jarvis_ear.system import private_socket

Answer: TypeAlias = Mapping[str, object]

MAX_REQUEST: Final = 64
"""Bytes: five times the longest word we know."""

CLIENT_S: Final = 1.0
"""Whoever asks has so long for asking, and so long for listening; the next one waits behind."""

RETRY_S: Final = 0.25
"""Without descriptors, somebody who waits is tried again after so long."""

STOP_S: Final = 1.0
"""Every wait of the thread ends with a stop, but for that of an answer."""

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
        self._stop_here, self._stop_there = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._listener, self._group = private_socket.listen(self._path)
        except OSError as error:
            told = CONTROL_TROUBLE.told(PLACE=self._path, REASON=error)
            _LOGGER.warning("no control socket at %s: %s", self._path, error, extra=told)
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_here.close()
        if self._listener is not None:
            self._thread.join(STOP_S)
            self._listener.close()
            self._path.unlink(missing_ok=True)
        self._stop_there.close()

    def _run(self) -> None:
        assert self._listener is not None  # noqa: S101 - the thread is started with it
        while self._wait_for(self._listener):
            client = self._accept(self._listener)
            if client is not None:
                with client:
                    self._serve(client)

    def _wait_for(self, one: socket.socket, within_s: float | None = None) -> bool:
        """Wait until it has something for us; False at a stop, or if it takes too long."""
        ready = select.select([self._stop_there, one], [], [], within_s)[0]
        return one in ready and self._stop_there not in ready

    def _accept(self, listener: socket.socket) -> socket.socket | None:
        try:
            return listener.accept()[0]
        except OSError as error:  # it went away; or no descriptors are left, and may be soon
            _LOGGER.debug("nobody could be answered: %s", error)
            select.select([self._stop_there], [], [], RETRY_S)
            return None

    def _serve(self, client: socket.socket) -> None:
        if not private_socket.is_welcome(client, self._group):
            return
        try:
            word = self._read_word(client)
            reply = self._answer(word) if word else {"error": "expected one word and a line feed"}
            client.settimeout(CLIENT_S)
            client.sendall(json.dumps(reply).encode() + b"\n")
        except OSError as error:  # it went away, or is too slow
            _LOGGER.debug("a control client was not answered: %s", error)

    def _read_word(self, client: socket.socket) -> str:
        """Read one line; empty if it is too long, does not come in time, or there is a stop."""
        deadline = time.monotonic() + CLIENT_S
        got = b""
        while b"\n" not in got:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or len(got) > MAX_REQUEST or not self._wait_for(client, left_s):
                return ""
            more = client.recv(MAX_REQUEST + 1)
            if not more:
                return ""
            got += more
        return got.partition(b"\n")[0].decode("ascii", "replace").strip()
