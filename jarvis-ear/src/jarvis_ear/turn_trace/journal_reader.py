"""Journal reader: the records of the ear in the journal of the machine, through journalctl.

Imports nothing heavy, because a verb uses it. Nothing in a record is trusted: any program may write
into the journal, so texts are made printable, and what has another form is left out.
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from jarvis_ear.paths import json_objects

IDENTIFIER: Final = "jarvis-ear"
"""SYSLOG_IDENTIFIER of the records of the ear."""

MAX_RECORDS: Final = 20_000
"""Newest records of the journal that are read: years of turns."""

ASK_S: Final = 30.0
"""Seconds for an answer of journalctl: a large journal on a slow card takes several."""


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One record of the journal about a turn. Immutable."""

    at: float
    """Seconds since 1970."""
    text: str


def records_of(turn_id: str) -> list[TurnRecord]:
    """Return what the journal holds about a turn, oldest first; nothing without a journal.

    It holds what was said only if ``log.transcripts`` was set at that time.
    """
    found = []
    with suppress(OSError, subprocess.SubprocessError):
        for record in ask_journal(f"TURN_ID={turn_id}"):
            text, at = text_of(record, "MESSAGE"), time_of(record)
            if text and at is not None:
                found.append(TurnRecord(at, text))
    return found


def printable(text: str) -> str:
    """Return a text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def ask_journal(*matches: str) -> Iterator[Mapping[str, object]]:
    """Yield records of the ear; raise ``OSError`` or ``SubprocessError`` without a journal."""
    found = subprocess.run(  # noqa: S603 - a program of the system, without a shell
        [
            *("journalctl", "--quiet", "--no-pager", "--output=json", f"--lines={MAX_RECORDS}"),
            *matches,
            f"SYSLOG_IDENTIFIER={IDENTIFIER}",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=ASK_S,
    )
    yield from json_objects(found.stdout)


def trouble_of(error: Exception) -> str:
    """Return why the journal cannot be read."""
    match error:
        case FileNotFoundError():
            return "there is no journalctl"
        case subprocess.CalledProcessError(stderr=bytes(text)) if text.strip():
            return printable(text.decode(errors="replace").splitlines()[0])[:100]
        case subprocess.TimeoutExpired():
            return f"journalctl does not answer within {ASK_S:g} s"
        case OSError(strerror=str(text)):
            return text.lower()
    return "journalctl fails"


def time_of(record: Mapping[str, object]) -> float | None:
    """Return when a record was written, in seconds since 1970."""
    stamp = record.get("__REALTIME_TIMESTAMP")
    is_stamp = isinstance(stamp, str) and stamp.isdecimal() and len(stamp) < 18  # noqa: PLR2004 - us
    return int(str(stamp)) / 1e6 if is_stamp else None


def text_of(fields: Mapping[str, object], name: str) -> str:
    """Return a field that is a text, without what a terminal would obey; else nothing."""
    value = fields.get(name)
    return printable(value) if isinstance(value, str) else ""
