"""Asking a running ear, from another process."""

import json
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from jarvis_ear.errors import Impostor, RemoteProtocolError
from jarvis_ear.system import private_socket

ASK_S: Final = 3.0
"""The ear answers within milliseconds; a busy machine may take some seconds."""

MAX_ANSWER: Final = 64 * 1024
"""Bytes: a status has about three thousand."""


def ask(paths: Iterable[Path], word: str) -> dict[str, Any] | None:
    """Ask the first ear that listens on one of these sockets; None if no ear does.

    A socket that we may not use, or that is not to be believed, is passed over: another of these
    may be our ear's. If none is, raises what was found first: ``PermissionError`` where an ear will
    not listen to us, ``Impostor`` where somebody else is in its place. Raises ``OSError`` if the
    ear does not answer in ``ASK_S``, and ``RemoteProtocolError`` if the answer is none.
    """
    refusal: Exception | None = None
    for path in paths:
        try:
            return _ask(path, word)
        except (FileNotFoundError, ConnectionRefusedError):
            continue
        except (PermissionError, Impostor) as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    return None


def _ask(path: Path, word: str) -> dict[str, Any]:
    with private_socket.connect(path, ASK_S) as ear:
        line = _exchange(ear, word)
    if not line:
        raise PermissionError(f"the ear at {path} gives us no answer")
    return _answer(line, path)


def _exchange(ear: socket.socket, word: str) -> bytes:
    """Send one line and receive one; nothing if the other side would rather not."""
    deadline = time.monotonic() + ASK_S
    line = b""
    try:
        ear.sendall(word.encode() + b"\n")
        while not line.endswith(b"\n") and len(line) < MAX_ANSWER:
            ear.settimeout(max(0.001, deadline - time.monotonic()))
            more = ear.recv(MAX_ANSWER)
            if not more:
                break
            line += more
    except (BrokenPipeError, ConnectionResetError):
        return b""
    return line


def _answer(line: bytes, path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise RemoteProtocolError(f"what answers at {path} is no ear: expected a line of JSON")
    return answer
