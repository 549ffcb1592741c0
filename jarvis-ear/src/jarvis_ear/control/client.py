"""Control client: sends a command to a running ear, and describes its status."""

import json
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jarvis_ear.control import server
from jarvis_ear.errors import Impostor, RemoteProtocolError

ASK_S: Final = 3.0
"""Seconds to wait. The ear answers within milliseconds; a busy machine may take some seconds."""

MAX_ANSWER: Final = 64 * 1024
"""Bytes; a status has about three thousand."""


def ask(paths: Iterable[Path], word: str) -> dict[str, Any] | None:
    """Send ``word`` to the first ear that listens on one of these sockets; None if no ear does.

    Skips a socket that we may not use or do not trust: another one may belong to our ear. If none
    does, raises the first error: ``PermissionError`` if an ear refuses us, ``Impostor`` if another
    user's program is in its place. Raises ``OSError`` if the ear does not answer within ``ASK_S``,
    and ``RemoteProtocolError`` if the answer is not valid.
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
    with server.connect(path, ASK_S) as ear:
        line = _exchange(ear, word)
    if not line:
        raise PermissionError(f"the ear at {path} gives us no answer")
    return _answer(line, path)


def _exchange(ear: socket.socket, word: str) -> bytes:
    """Send one line and receive one; return nothing if the other side closes the connection."""
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


_TOLD: Final = (
    *("state", "hearing", "connected", "turns", "muted_by", "stuck", "counters"),
    *("backend_url", "backend_reason", "backend_remedy"),
)
"""Keys of the report that have their own text."""

COUNTED: Final[Mapping[str, str]] = {
    "samples_lost": "samples that the microphone lost",
    "gaps": "gaps in what the microphone gave",
    "overflows": "overflows that the sound card reported",
    "dropped_samples": "samples dropped inside, because the ear was too slow",
    "dropped_blocks": "pieces of sound dropped inside",
    "dropped_events": "events dropped inside",
    "gap_samples": "samples that were missing where the ear heard",
    "gaps_in_sound": "gaps where the ear heard",
    "commands_dropped": "sentences and orders that found no room on the way to the network",
    "utterances_dropped": "sentences that gave way to newer ones",
    "turns_unfinished": "sentences of which no end was told",
    "stray_messages": "messages of the backend that belonged to no sentence",
    "repeated_sentences": "pieces of replies that came twice",
    "late_sentences": "pieces of replies that came too late",
    "replies_too_big": "replies that were too long",
    "messages_refused": "messages of the backend that could not be understood",
    "links_flooded": "connections ended because the backend said too much at once",
    "reply_pieces_refused": "pieces of replies that found no room before the loudspeaker",
    "reply_pieces_skipped": "pieces of replies that are no sound we can play",
    "reply_pieces_unsaved": "pieces of replies that could not be written to output_dir",
    "spool_failures": "writes to the spool that failed",
    "spool_foreign_files": "files in the spool that are not ours",
    "ledger_unwritten": "verdicts that are in the journal only, not in the ledger",
    "bus_dropped": "events that the bus was not told",
    "bus_refused": "messages of the bus that could not be understood",
    "control_refused": "connections to the control socket that were turned away",
    "feed_refused": "consoles that were turned away",
    "feed_dropped": "changes that a console was too slow for",
    "log_records_lost": "lines that the journal did not take",
    "notifications_dropped": "messages that the service manager did not take",
}
"""What each counter counts, in the order of display."""


def require_report(answer: Mapping[str, Any]) -> None:
    """Raise ``RemoteProtocolError`` unless ``describe`` can describe the answer."""
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
            raise RemoteProtocolError(f"the running ear does not tell how it is: {why}")
    raise RemoteProtocolError("the running ear does not tell how it is: is it of another version?")


def _is_turn(turn: object) -> bool:
    match turn:
        case {"ended_s_ago": int() | float(), "story": str()}:
            return True
    return False


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


CLIPPED_PERCENT: Final = 0.1
"""Same value as ``devices.sound_faults.TOO_MUCH``; that module imports numpy."""


def describe(report: Mapping[str, Any]) -> str:
    """Format a report for people."""
    lines = [_headline(report), *_advice(report), *_backend(report)]
    fields = {*_TOLD, *_TOLD_IF_SO, *report.get("counters", ())}
    lines += [f"{name}: {value}" for name, value in report.items() if name not in fields]
    lines += [f"{words}: {count}" for words, count in noted(report)]
    lines += [f"{turn['ended_s_ago']:.0f} s ago: {turn['story']}" for turn in report["turns"]]
    return "\n".join(lines) + "\n"


def noted(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return every counter that is not zero, with its description."""
    counters = report.get("counters", {})
    known = [name for name in COUNTED if name in counters]
    others = [name for name in counters if name not in COUNTED]
    named = ((COUNTED.get(name, name.replace("_", " ")), counters[name]) for name in known + others)
    return [(words, count) for words, count in named if count]


def _backend(report: Mapping[str, Any]) -> Iterator[str]:
    """Describe the link to the backend; if it is down, the reason and the remedy."""
    where = f" at {report['backend_url']}" if report.get("backend_url") else ""
    if report.get("connected"):
        yield f"connected to the backend{where}"
        return
    why = f": {report['backend_reason']}" if report.get("backend_reason") else ""
    yield f"not connected to the backend{where}{why}"
    if report.get("backend_remedy"):
        yield f"to do: {report['backend_remedy']}"


_TOLD_IF_SO: Final = ("deaf_reason", "deaf_remedy", "clipped_percent", "hears_own_speaker")
"""Keys of the report that have their own text, shown only when they have a value."""


def _headline(report: Mapping[str, Any]) -> str:
    if report.get("muted_by"):
        return f"muted by the {', '.join(report['muted_by'])}"
    if not report["hearing"]:
        return f"deaf: {report.get('deaf_reason') or 'there is no sound from the microphone'}"
    stuck = f" (stuck: {', '.join(report['stuck'])})" if report["stuck"] else ""
    return f"hearing, {report['state']}{stuck}"


def _advice(report: Mapping[str, Any]) -> Iterator[str]:
    """Describe what a person can do about the sound."""
    if report.get("deaf_remedy"):
        yield f"to do: {report['deaf_remedy']}"
    if report.get("hears_own_speaker"):
        yield f"{report['source']} is a monitor of a loudspeaker: choose another microphone.device"
    if report.get("clipped_percent"):
        yield (
            f"clipped: {report['clipped_percent']:g} % of the samples of the last minute; "
            f"above {CLIPPED_PERCENT:g} %, lower the gain of the microphone (alsamixer)"
        )
