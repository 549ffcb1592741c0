"""Control client: sends a command to a running ear, and checks its answer."""

import json
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from jarvis_ear.control.unix_socket import connect
from jarvis_ear.errors import Impostor, RemoteProtocolError

ASK_S: Final = 3.0
"""Seconds to wait. The ear answers within milliseconds; a busy machine may take some seconds."""

SAY_S: Final = 65.0
"""Seconds to wait for a text to be spoken: a little more than the ear takes to give up."""

MAX_ANSWER: Final = 64 * 1024
"""Bytes; a status has about three thousand."""


def ask(
    paths: Iterable[Path], word: str, body: bytes = b"", wait_s: float = ASK_S
) -> dict[str, Any] | None:
    """Send ``word`` to the first ear that listens on one of these sockets; None if no ear does.

    A ``body`` follows it, with its length in the line.

    Skips a socket that we may not use or do not trust: another one may belong to our ear. If none
    does, raises the first error: ``PermissionError`` if an ear refuses us, ``Impostor`` if another
    user's program is in its place. Raises ``OSError`` if the ear does not answer within ``wait_s``,
    and ``RemoteProtocolError`` if the answer is not valid.
    """
    refusal: Exception | None = None
    for path in paths:
        try:
            return _ask(path, word, body, wait_s)
        except (FileNotFoundError, ConnectionRefusedError):
            continue
        except (PermissionError, Impostor) as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    return None


def _ask(path: Path, word: str, body: bytes, wait_s: float) -> dict[str, Any]:
    request = f"{word} {len(body)}" if body else word
    with connect(path, ASK_S) as ear:
        line = _exchange(ear, request.encode() + b"\n" + body, wait_s)
    if not line:
        raise PermissionError(f"the ear at {path} closed the connection without an answer")
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise RemoteProtocolError(f"invalid answer from {path}; expected a line of JSON")
    return answer


def _exchange(ear: socket.socket, request: bytes, wait_s: float) -> bytes:
    """Send a request and receive one line; nothing if the other side closes the connection."""
    deadline = time.monotonic() + wait_s
    line = b""
    with suppress(BrokenPipeError, ConnectionResetError):
        ear.sendall(request)  # one that is refused is not read to its end
    try:
        while not line.endswith(b"\n") and len(line) < MAX_ANSWER:
            ear.settimeout(max(0.001, deadline - time.monotonic()))
            more = ear.recv(MAX_ANSWER)
            if not more:
                break
            line += more
    except (BrokenPipeError, ConnectionResetError):
        return b""
    return line


def require_report(answer: Mapping[str, Any]) -> None:
    """Raise ``RemoteProtocolError`` unless ``report_text`` can describe the answer."""
    match answer:
        case {
            "state": str(),
            "hearing": bool(),
            "heard_s_ago": None | int() | float(),
            "deaf_s_today": int() | float(),
            "stuck": list(stuck),
            "turns": list(turns),
        } if all(map(_is_turn, turns)) and _are_names(stuck):
            if _are_names(answer.get("muted_by", [])):
                return
        case {"error": str(why)}:
            raise RemoteProtocolError(f"the running ear does not report its status: {why}")
    raise RemoteProtocolError(
        "the running ear does not report its status in a known form: is it another version?"
    )


def _is_turn(turn: object) -> bool:
    match turn:
        case {"ended_s_ago": int() | float(), "story": str()}:
            return True
    return False


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)
