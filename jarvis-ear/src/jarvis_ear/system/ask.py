"""Asking a running ear, from another process."""

import json
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

ASK_S: Final = 3.0
"""The ear answers within milliseconds, after at most one slow client before us."""

MAX_ANSWER: Final = 64 * 1024
"""Bytes: a status has about two thousand."""


def ask(paths: Iterable[Path], word: str) -> dict[str, Any] | None:
    """Ask the first ear that listens on one of these sockets; None if no ear does.

    Raises PermissionError when there is one that will not listen to us.
    """
    for path in paths:
        try:
            return _ask(path, word)
        except (FileNotFoundError, ConnectionRefusedError):
            continue
    return None


def _ask(path: Path, word: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ear:
        ear.settimeout(ASK_S)
        ear.connect(str(path))
        line = _exchange(ear, word)
    if not line:
        raise PermissionError(f"the ear at {path} gives us no answer")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _exchange(ear: socket.socket, word: str) -> bytes:
    """Send one line and receive one; nothing if the other side would rather not."""
    line = b""
    try:
        ear.sendall(word.encode() + b"\n")
        while not line.endswith(b"\n") and len(line) < MAX_ANSWER:
            more = ear.recv(MAX_ANSWER)
            if not more:
                break
            line += more
    except (BrokenPipeError, ConnectionResetError):
        return b""
    return line
