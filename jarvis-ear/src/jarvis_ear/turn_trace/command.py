"""``jarvis-ear turns``: the last turns, and everything that is known about one."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from jarvis_ear import paths
from jarvis_ear.errors import InputError, file_errors
from jarvis_ear.journal.turns import NO_SPEECH
from jarvis_ear.options.verbs import UsageError, print_text, quoted
from jarvis_ear.turn_trace import past_turns
from jarvis_ear.turn_trace.journal_reader import TurnRecord, records_of

SCHEMA: Final = 1
"""``format`` of the JSON output; it changes if a name changes or goes."""

SINCE: Final = "7d"
"""Default of ``--since``."""

SHOWN: Final = 20
"""Default number of turns that are listed."""

WIDTH: Final = 44
"""Columns of the waterfall."""

_UNITS_S: Final = {"m": 60, "h": 3600, "d": 86_400}
_HEADS: Final = ("ended", "turn", "verdict", "heard", "speech", "ended by", "answer", "total")
_NO_JOURNAL: Final = "only the ledger is shown, without speech and latencies"


def turns(verb: str, given: Mapping[str, Any]) -> int:
    """Carry out ``turns list`` or ``turns show``, and return the exit status."""
    now = time.time()
    if verb == "show":
        archive = _read(0.0, given)
        return _show(archive, given["id"], as_json="json" in given)
    most = _count(given.get("last", str(SHOWN)))
    archive = _read(parse_since(given.get("since", SINCE), now), given)
    chosen = [
        turn
        for turn in archive.turns
        if (turn.is_failure or "failed" not in given) and (turn.is_slow or "slow" not in given)
    ]
    chosen = chosen[-most:]
    if "slow" in given:
        chosen.sort(key=lambda turn: -(turn.answer_ms or 0))
    if "json" in given:
        sources = ["ledger"] if archive.trouble else ["journal", "ledger"]
        found = {"format": SCHEMA, "sources": sources, "turns": [one.as_json() for one in chosen]}
        return print_text(json.dumps(found) + "\n")
    if archive.trouble:
        sys.stderr.write(f"jarvis-ear: {archive.trouble}: {_NO_JOURNAL}\n")
    if not chosen:
        sys.stderr.write("jarvis-ear: there are no such turns\n")
        return 0
    return print_text("\n".join([_line(*_HEADS), *map(_row, chosen)]) + "\n")


def parse_since(text: str, now: float) -> float:
    """Return the beginning that is meant, in seconds since 1970; or raise ``UsageError``."""
    if match := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return now - int(match[1]) * _UNITS_S[match[2]]
    midnight = datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0)
    if text in ("today", "yesterday"):
        return (midnight - timedelta(days=text == "yesterday")).timestamp()
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"turns: --since: {quoted(text)}: expected today, yesterday, a time such as 90m, 12h or"
            " 7d, or a date such as 2026-11-28 or 2026-11-28T10:30"
        ) from None


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,4}", text):
        raise UsageError(f"turns: --last: {quoted(text)}: expected a number from 1 to 99999")
    return int(text)


def _read(since: float, given: Mapping[str, Any]) -> past_turns.TurnArchive:
    with file_errors("the ledger"):
        return past_turns.read_archive(since, _ledger_folder(given.get("ledger")))


def _ledger_folder(given: Path | None) -> Path | None:
    """Return the folder of the ledger that is given, or the first one that has one."""
    if given is not None:
        if not any((given / name).is_file() for name in past_turns.LEDGERS):
            raise InputError(
                f"{given} holds no ledger: expected the folder of {past_turns.LEDGERS[1]}"
            )
        return given
    found = paths.find_state(os.environ, past_turns.LEDGERS[1])
    return found and found.parent


def _row(turn: past_turns.PastTurn) -> str:
    speech_ms = turn.numbers.get("SPEECH_MS")
    speech = "" if speech_ms is None else f"{speech_ms / 1000:.2f} s"
    waits = ("" if ms is None else f"{ms} ms" for ms in (turn.answer_ms, turn.total_ms))
    verdict = _verdict(turn)
    return _line(_when(turn), turn.turn_id, verdict, turn.heard, speech, turn.ended_by, *waits)


def _verdict(turn: past_turns.PastTurn) -> str:
    """Return the verdict with its cause; that of no speech says nothing more."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", turn.cause).lower()  # of an event's name
    cause = f" ({words})" if words and turn.verdict != NO_SPEECH.outcome else ""
    return f"{turn.verdict or 'unknown'}{cause}".replace("_", " ")


def _when(turn: past_turns.PastTurn) -> str:
    return f"{datetime.fromtimestamp(turn.ended_at).astimezone():%Y-%m-%d %H:%M:%S}"


def _line(*words: str) -> str:
    when, turn_id, verdict, heard, speech, ended_by, answer, total = words
    left = f"{when:<19}  {turn_id:<8}  {verdict:<26} {heard:<11} {speech:>8}"
    return f"{left}  {ended_by.replace('_', ' '):<11} {answer:>9} {total:>9}".rstrip()


def _show(archive: past_turns.TurnArchive, turn_id: str, *, as_json: bool) -> int:
    found = archive.find(turn_id)
    if len(found) != 1:
        count = f"{len(found)} turns" if found else "no turn"
        raise InputError(f"{count} with the id {quoted(turn_id)}: see jarvis-ear turns")
    [turn] = found
    records = records_of(turn.turn_id)
    if as_json:
        log = [{"at": each.at, "text": each.text} for each in records]
        return print_text(json.dumps({"format": SCHEMA, **_all(turn), "log": log}) + "\n")
    if archive.trouble:
        sys.stderr.write(f"jarvis-ear: {archive.trouble}: {_NO_JOURNAL}\n")
    lines = [*_facts(turn), *_waterfall(turn), *_log(records)]
    return print_text("\n".join(lines) + "\n")


def _all(turn: past_turns.PastTurn) -> dict[str, Any]:
    fields = {name.lower(): value for name, value in {**turn.numbers, **turn.links}.items()}
    return {**turn.as_json(), "fields": fields}


def _facts(turn: past_turns.PastTurn) -> Iterator[str]:
    numbers, links = turn.numbers, turn.links
    yield f"turn       {turn.turn_id}, ended {_when(turn)}"
    yield f"verdict    {_verdict(turn)}"
    yield from (f"backend    away: {turn.away}",) if turn.away else ()
    if turn.heard:
        why = f" ({turn.heard_reason.replace('_', ' ')})" if turn.heard_reason else ""
        yield f"heard      {turn.heard}{why}"
    if "WAKE_SCORE" in numbers:
        verifier = f", verifier {numbers['WAKE_VERIFIER']:g}" if "WAKE_VERIFIER" in numbers else ""
        noise = ""
        if {"LEVEL", "NOISE_FLOOR"} <= numbers.keys():
            noise = f"; {numbers['LEVEL']:.0f} dBFS over a noise of {numbers['NOISE_FLOOR']:.0f}"
        yield f"wake word  score {numbers['WAKE_SCORE']:g}{verifier}{noise}"
    if "SPEECH_MS" in numbers:
        reason = turn.ended_by.replace("_", " ") or "unknown"
        yield f"speech     {numbers['SPEECH_MS'] / 1000:.2f} s, ended by {reason}"
    if "BYTES_WAV" in numbers:
        size = f"{numbers['BYTES_WAV'] / 1000:.0f} kB"
        yield f"sent       {size} to {links.get('BACKEND', 'an unknown backend')}"
    if numbers.get("REPLY_CHUNKS"):
        yield f"reply      {numbers['REPLY_CHUNKS']:.0f} chunks"
    if numbers.get("REFUSED"):
        yield f"refused    {numbers['REFUSED']:.0f} times, as not the person's speech"
    for name, meaning in (
        ("CONTINUES", "continues turn"),
        ("SUPERSEDED_BY", "the whole sentence is turn"),
        ("ANSWERED_BY", "answered by the ear"),
    ):
        if name in links:
            yield f"{'':<10} {meaning} {links[name]}"


def _waterfall(turn: past_turns.PastTurn) -> Iterator[str]:
    """Draw the parts of the wait one below the other, from the end of speech on."""
    parts = list(turn.parts_ms())
    if not parts:
        return
    yield ""
    yield "time from the end of speech:"
    whole = max(1, parts[-1][2])
    for name, begin, end in parts:
        first = round(WIDTH * begin / whole)
        bar = "#" * (round(WIDTH * end / whole) - first) or "|"
        yield f"  {name:<15} {' ' * first + bar:<{WIDTH + 1}} {end - begin:>6} ms"
    yield f"  {'in all':<15} {'':<{WIDTH + 1}} {parts[-1][2]:>6} ms"


def _log(records: list[TurnRecord]) -> Iterator[str]:
    if records:
        yield ""
        yield "log:"
    for record in records:
        yield f"  {record.at - records[0].at:>+8.3f} s  {record.text}"
