"""Past turns: what the journal and the ledger know about turns that are over.

Imports nothing heavy, because a verb uses it. What has an unexpected form is left out.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jarvis_ear.journal.turns import ANNOUNCED, BY_OUTCOME, ENDED
from jarvis_ear.paths import json_objects, read_regular
from jarvis_ear.turn_trace.journal_reader import ask_journal, text_of, time_of, trouble_of

LEDGERS: Final = ("ledger.1.jsonl", "ledger.jsonl")
"""Files of the ledger, the older one first; the names of ``spool.ledger``."""

MAX_LEDGER: Final = 4 * 1024 * 1024
"""Bytes of a file of the ledger; the ear replaces one of 1 MiB."""

STAGES: Final[Mapping[str, str]] = {
    "LATENCY_CAPTURED_MS": "endpoint",
    "LATENCY_SENT_MS": "upload",
    "LATENCY_PROCESSING_MS": "accepted",
    "LATENCY_TRANSCRIPT_MS": "speech-to-text",
    "LATENCY_FIRST_AUDIO_MS": "answer",
    "LATENCY_DONE_MS": "reply",
}
"""Latencies in order, and the name of the part that ends there."""

FAILED: Final = ("failed", "expired", "in_doubt", "reply_lost", "unfinished")
"""Verdicts that leave a person without what they wait for."""

SLOW_MS: Final = 3000
"""Wait for an answer from which a turn is slow."""

_NUMBER: Final = re.compile(r"-?\d{1,9}(\.\d{1,9})?")
_ID: Final = re.compile(r"[0-9a-f]{1,32}")


@dataclass(slots=True)
class PastTurn:
    """One turn, as far as it is known. Owned by its reader."""

    turn_id: str
    ended_at: float
    """Seconds since 1970."""
    verdict: str = ""
    cause: str = ""
    heard: str = ""
    """How much of the reply was heard: all, part, none or interrupted; empty: unknown."""
    heard_reason: str = ""
    ended_by: str = ""
    """What ended the speech; empty: unknown."""
    away: str = ""
    """Why the backend was out of reach, if the turn expired for that."""
    numbers: dict[str, float] = field(default_factory=dict)
    """Fields of the journal that are numbers: WAKE_SCORE, SPEECH_MS, LATENCY_SENT_MS, ..."""
    links: dict[str, str] = field(default_factory=dict)
    """Ids and names: SESSION_ID, CONTINUES, SUPERSEDED_BY, ANSWERED_BY, BACKEND."""

    @property
    def answer_ms(self) -> int | None:
        """Wait for the first sound, or the end if there was none, from the end of speech."""
        return self._whole("LATENCY_ANSWER_MS")

    @property
    def total_ms(self) -> int | None:
        """Time from the end of speech to the end of the reply."""
        return self._whole("LATENCY_DONE_MS")

    @property
    def is_failure(self) -> bool:
        """Whether a person did not get the answer they waited for."""
        is_unheard = self.verdict == "done" and self.heard in ("none", "part")
        return self.verdict in FAILED or is_unheard

    @property
    def is_slow(self) -> bool:
        """Whether the answer took ``SLOW_MS`` or more."""
        return (self.answer_ms or 0) >= SLOW_MS

    def parts_ms(self) -> Iterator[tuple[str, int, int]]:
        """Yield each part of the wait: its name, begin and end in ms from the end of speech."""
        begin = 0
        for name, meaning in STAGES.items():
            end = self._whole(name)
            if end is not None:
                yield meaning, begin, max(begin, end)
                begin = max(begin, end)

    def as_json(self) -> dict[str, Any]:
        """Return the turn as JSON; its names are stable, and what is unknown is null."""
        return {
            "turn": self.turn_id,
            "ended": datetime.fromtimestamp(self.ended_at).astimezone().isoformat("T", "seconds"),
            "verdict": self.verdict or None,
            "cause": self.cause or None,
            "heard": self.heard or None,
            "heard_reason": self.heard_reason or None,
            "ended_by": self.ended_by or None,
            "away": self.away or None,
            "speech_ms": self._whole("SPEECH_MS"),
            "wake_score": self.numbers.get("WAKE_SCORE"),
            "answer_ms": self.answer_ms,
            "total_ms": self.total_ms,
            "parts": [
                {"part": name, "begin_ms": begin, "end_ms": end}
                for name, begin, end in self.parts_ms()
            ],
        }

    def _whole(self, name: str) -> int | None:
        value = self.numbers.get(name)
        return None if value is None else round(value)


@dataclass(slots=True)
class TurnArchive:
    """The turns of the journal and the ledger. Owned by its reader."""

    turns: list[PastTurn]
    """Oldest first."""
    trouble: str
    """Why the journal has no turns; empty: it has some."""

    def find(self, beginning: str) -> list[PastTurn]:
        """Return the turns whose id begins so."""
        return [turn for turn in self.turns if beginning and turn.turn_id.startswith(beginning)]


def read_archive(since: float, folder: Path | None) -> TurnArchive:
    """Read the turns that ended at ``since`` or later. ``folder``: that of the ledger.

    Raises ``OSError`` if the ledger is there and cannot be read.
    """
    known: dict[str, PastTurn] = {}
    for line in () if folder is None else _ledger_lines(folder):
        _note_verdict(known, line)
    trouble = "the journal holds no turns (of those that this user may read)"
    try:
        for record in ask_journal(f"--since=@{int(since)}", f"EVENT={ENDED}"):
            if _note_end(known, record):
                trouble = ""
    except (OSError, subprocess.SubprocessError) as error:
        trouble = f"the journal cannot be read: {trouble_of(error)}"
    turns = [turn for turn in known.values() if turn.ended_at >= since]
    return TurnArchive(sorted(turns, key=lambda turn: turn.ended_at), trouble)


def _ledger_lines(folder: Path) -> Iterator[Mapping[str, object]]:
    for name in LEDGERS:
        try:
            data = read_regular(folder / name, MAX_LEDGER)[0]
        except FileNotFoundError:
            continue
        yield from json_objects(data)


def _note_verdict(known: dict[str, PastTurn], line: Mapping[str, object]) -> None:
    turn_id, at = text_of(line, "turn"), None
    with suppress(ValueError):
        at = datetime.fromisoformat(text_of(line, "time")).timestamp()
    if not _ID.fullmatch(turn_id) or at is None:
        return
    turn = known.setdefault(turn_id, PastTurn(turn_id, at))
    turn.ended_at = at
    if "verdict" in line:
        turn.verdict, turn.cause = text_of(line, "verdict"), text_of(line, "cause")
        turn.away = text_of(line, "away")
    if "heard" in line:
        turn.heard, turn.heard_reason = text_of(line, "heard"), text_of(line, "heard_reason")
    if superseded_by := text_of(line, "superseded_by"):
        turn.links["SUPERSEDED_BY"] = superseded_by


def _note_end(known: dict[str, PastTurn], record: Mapping[str, object]) -> bool:
    """Note the end of a turn; return whether it is one."""
    turn_id, at, outcome = text_of(record, "TURN_ID"), time_of(record), text_of(record, "OUTCOME")
    is_turn = outcome in BY_OUTCOME and outcome != ANNOUNCED.outcome
    if not _ID.fullmatch(turn_id) or at is None or not is_turn:
        return False
    turn = known.setdefault(turn_id, PastTurn(turn_id, at))
    turn.ended_at = at
    turn.verdict, turn.cause = outcome, text_of(record, "CAUSE")
    turn.heard = text_of(record, "HEARD") or turn.heard
    turn.heard_reason = text_of(record, "HEARD_REASON") or turn.heard_reason
    turn.ended_by = text_of(record, "ENDED_BY")
    turn.away = text_of(record, "REASON") or turn.away
    for name in ("SESSION_ID", "CONTINUES", "SUPERSEDED_BY", "ANSWERED_BY", "BACKEND"):
        if value := text_of(record, name):
            turn.links[name] = value
    turn.numbers |= dict(_numbers(record))
    return True


def _numbers(record: Mapping[str, object]) -> Iterable[tuple[str, float]]:
    for name, value in record.items():
        is_field = name in STAGES or name in _MEASURED
        if is_field and isinstance(value, str) and _NUMBER.fullmatch(value):
            yield name, float(value)


_MEASURED: Final = frozenset(
    {
        *("WAKE_SCORE", "WAKE_SECOND_LOOK", "WAKE_VERIFIER", "LEVEL", "NOISE_FLOOR"),
        *("SPEECH_MS", "LOST_MS", "BYTES_RAW", "BYTES_WAV", "REPLY_CHUNKS", "REFUSED"),
        *("RESUMED", "SELF_ECHOES", "DUCKED_MS", "LATENCY_ANSWER_MS"),
    }
)
