"""Control client: sends a command to a running ear, and describes its status."""

import json
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
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


_DESCRIBED: Final = frozenset(
    (
        *("state", "hearing", "connected", "turns", "muted_by", "stuck", "counters"),
        *("backend_url", "backend_reason", "backend_remedy"),
        *("deaf_reason", "deaf_remedy", "clipped_percent", "hears_own_speaker"),
        *("near_misses_in_hour", "near_miss_best_score", "near_miss_s_ago", "near_miss_level_dbfs"),
        *("near_miss_noise_floor_dbfs", "near_miss_clipped_percent"),
        *("near_miss_reason", "near_miss_remedy"),
    )
)
"""Keys of the report that have their own text."""

COUNTED: Final[Mapping[str, str]] = {
    "samples_lost": "samples that the microphone lost",
    "gaps": "gaps in the sound from the microphone",
    "overflows": "overflows that the sound card reported",
    "dropped_samples": "samples dropped because the ear was too slow",
    "dropped_blocks": "blocks of sound dropped because the ear was too slow",
    "dropped_events": "events dropped because the ear was too slow",
    "gap_samples": "samples missing from the sound that the ear processed",
    "gaps_in_sound": "gaps in the sound that the ear processed",
    "played_dropped": "pieces of the loudspeaker's sound that the ear took too late",
    "self_echoes": "wake words of the loudspeaker that the ear ignored",
    "speech_refused": "utterances that were not taken for those of the person",
    "echo_late": "samples of the loudspeaker that were known too late to be removed",
    "echo_passed": "frames in which the echo canceller was out of its depth",
    "echo_resets": "times that the echo canceller had to begin anew",
    "near_misses": "near misses of the wake word",
    "clips_dropped": "clips dropped before the wake ledger, because the disk was too slow",
    "clips_unwritten": "clips that could not be written to the wake ledger",
    "commands_dropped": "utterances and commands dropped before the network thread",
    "utterances_dropped": "utterances replaced by newer ones",
    "turns_unfinished": "turns without a verdict",
    "stray_messages": "messages of the backend that belong to no turn",
    "repeated_sentences": "chunks of replies that came twice",
    "late_sentences": "chunks of replies that came too late",
    "replies_too_big": "replies that were too long",
    "messages_refused": "invalid messages of the backend",
    "links_flooded": "connections closed because the backend sent too much at once",
    "announcements_dropped": "announcements dropped because too many waited",
    "reply_pieces_refused": "chunks of replies dropped because the speaker's queue was full",
    "reply_pieces_skipped": "chunks of replies in an unknown sound format",
    "reply_pieces_unsaved": "chunks of replies that could not be written to output_dir",
    "speaker_underruns": "gaps in replies because the loudspeaker got its sound too late",
    "spool_failures": "failed writes to the spool",
    "spool_foreign_files": "foreign files in the spool",
    "ledger_unwritten": "verdicts that are in the journal only, not in the ledger",
    "bus_dropped": "events dropped before the event bus",
    "bus_refused": "invalid messages of the event bus",
    "mqtt_replaced": "values that a newer one replaced before a slow or absent MQTT broker",
    "mqtt_refused": "commands of the MQTT broker that were not carried out",
    "rooms_doubled": "wake words that an ear in another room answered as well",
    "rooms_refused": "messages of other ears that were invalid or had another key",
    "rooms_foreign": "wake words of ears in other groups",
    "rooms_ignored": "wake words of other ears that came too late or were too many",
    "rooms_unsent": "messages to other ears that no network took",
    "rooms_dropped": "messages to other ears dropped because the network was too slow",
    "hooks_failed": "events that a hook did not take",
    "hooks_dropped": "wake words and failures dropped before a slow hook",
    "hooks_replaced": "states that a newer one replaced before a slow hook",
    "metrics_refused": "refused requests for the metrics",
    "control_refused": "refused connections to the control socket",
    "feed_refused": "refused watchers of the feed",
    "feed_dropped": "changes dropped because a watcher of the feed was too slow",
    "log_records_lost": "log records that the journal did not accept",
    "notifications_dropped": "messages that the service manager did not accept",
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


CLIPPED_PERCENT: Final = 0.1
"""Same value as ``devices.sound_faults.TOO_MUCH``; that module imports numpy."""


def describe(report: Mapping[str, Any]) -> str:
    """Format a report for people."""
    lines = [_headline(report), *_advice(report), *_backend(report)]
    described = {*_DESCRIBED, *report.get("counters", ())}
    lines += [f"{name}: {value}" for name, value in report.items() if name not in described]
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
    if report.get("near_miss_reason"):
        yield (
            f"near misses of the wake word in the last hour: {report['near_misses_in_hour']}, "
            f"best score {report['near_miss_best_score']:.2f}; "
            f"{report['near_miss_s_ago']:.0f} s ago, {report['near_miss_reason']}"
        )
        yield f"if that was you: {report['near_miss_remedy']}"
