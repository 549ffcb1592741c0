"""Storage checks: spool, ledger and disk. They read names and verdicts, and change nothing."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from jarvis_ear import paths
from jarvis_ear.config import SpoolOptions
from jarvis_ear.delivery.events import Verdict
from jarvis_ear.delivery.transitions import SpoolState
from jarvis_ear.doctor.checks import CheckResult, Grade, Results, attempt, fail, ok, skipped, warn
from jarvis_ear.spool.ledger import FILE, OLD_FILE
from jarvis_ear.spool.recovery import OPEN

LOOK_S: Final = 15.0
"""Time-out of each check of this module."""

LEAST_MB: Final = 20
"""Free space on a disk, in MB, below which the ear cannot keep what it must."""

LITTLE_MB: Final = 200
"""Free space that warrants a warning, as do the next two."""

MANY_WAIT: Final = 4
"""Utterances in the spool: the ear sends them within seconds."""

BAD_SHARE: Final = 0.25
"""Share of a day's utterances without their reply."""

LEAST_TURNS: Final = 4
"""Utterances of a day below which their share says nothing."""

FOREIGN: Final = "it belongs to another user"
_LOST: Final = (Verdict.FAILED, Verdict.EXPIRED, Verdict.IN_DOUBT, Verdict.REPLY_LOST)
_WAITING: Final[Mapping[str, str]] = {
    OPEN: "unfinished",
    SpoolState.NEW: "waiting for the backend",
    SpoolState.HELD: "held",
    SpoolState.SENT: "sent",
    SpoolState.TAKEN: "accepted",
}
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class SpoolFacts:
    """The folder of utterances. A value."""

    folder: str = ""
    waiting: Mapping[str, int] | None = None
    """Utterances by their state; None: there is no folder, or it cannot be read."""
    problem: str = ""
    """Why it cannot be used."""


def spool_facts(folder: Path) -> SpoolFacts:
    """Look at the spool. Reads names only, and creates nothing."""
    try:
        if not folder.exists():
            return SpoolFacts(str(folder))
        places = {words: folder / name for name, words in _WAITING.items()}
        waiting = {words: len([*at.iterdir()]) for words, at in places.items() if at.is_dir()}
    except PermissionError:
        return SpoolFacts(str(folder), problem=FOREIGN)
    except OSError as error:
        return SpoolFacts(str(folder), problem=str(error.strerror))
    problem = "" if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else "it is not writable"
    return SpoolFacts(str(folder), waiting, problem)


def judge_spool(facts: SpoolFacts, *, ear_runs: bool) -> Results:
    """Judge the spool."""
    if facts.problem == FOREIGN:
        return [skipped("spool", f"{facts.problem}: sudo jarvis-ear doctor")]
    if facts.problem:
        fix = "make it writable for the user of the ear, or choose another with spool.dir"
        text = f"{facts.folder}: {facts.problem}"
        return [CheckResult("spool", Grade.FAIL, text, fix, 73, quotes_owner=True)]
    if facts.waiting is None:
        return [skipped("spool", "no ear has used it yet")]
    waits = {name: count for name, count in facts.waiting.items() if count}
    text = ", ".join(f"{count} {name}" for name, count in waits.items()) or "nothing waits"
    if sum(waits.values()) >= MANY_WAIT or (waits and not ear_runs):
        fix = "the next start of the ear settles them; if they stay, look at login and wire"
        return [warn("spool", f"utterances: {text}", fix)]
    return [ok("spool", text)]


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """The verdicts of the last day. A value."""

    verdicts: Mapping[str, int] | None = None
    """Utterances of the last day by their verdict; None: there is no ledger."""
    problem: str = ""


def ledger_facts(folder: Path, now: datetime) -> LedgerFacts:
    """Read the ledger: no sound and no text is in it."""
    counted: Counter[str] | None = None
    for name in (OLD_FILE, FILE):
        try:
            lines = paths.read_regular(folder / name, 4 * _MB)[0]
        except FileNotFoundError:
            continue
        except PermissionError:
            return LedgerFacts(problem=FOREIGN)
        except OSError as error:
            return LedgerFacts(problem=str(error.strerror))
        counted = Counter(_recent_verdicts(lines, now - timedelta(days=1))) + (counted or Counter())
    return LedgerFacts(counted)


def _recent_verdicts(lines: bytes, since: datetime) -> Iterator[str]:
    for fields in paths.json_objects(lines):
        with suppress(ValueError, KeyError, TypeError):
            verdict = Verdict(fields["verdict"])
            if datetime.fromisoformat(fields["time"]) >= since:
                yield str(verdict)


def judge_ledger(facts: LedgerFacts) -> Results:
    """Judge the verdicts of the last day."""
    if facts.problem == FOREIGN:
        return [skipped("ledger", f"{facts.problem}: sudo jarvis-ear doctor")]
    if facts.problem:
        fix = "make the state folder of the ear readable for its user"
        return [fail("ledger", facts.problem, fix, 73)]
    verdicts = facts.verdicts
    if verdicts is None:
        return [skipped("ledger", "no utterance yet")]
    total, lost = sum(verdicts.values()), sum(verdicts.get(str(each), 0) for each in _LOST)
    text = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    text = f"last day: {text or 'no utterance'}"
    if total >= LEAST_TURNS and lost >= BAD_SHARE * total:
        fix = "journalctl -u jarvis-ear --since today -x EVENT=TurnEnded says why"
        return [warn("ledger", text, fix)]
    return [ok("ledger", text)]


def judge_disk(free_mb: int, free_files: int) -> Results:
    """Judge the free space of spool and ledger. ``free_files``: inodes; 0 if not counted."""
    text = f"{free_mb} MB are free where the ear keeps its files"
    fix = "free some space: journalctl --vacuum-size=100M"
    if free_mb < LEAST_MB or 0 < free_files < LEAST_MB:
        return [fail("disk", text, fix, 73)]
    if free_mb < LITTLE_MB:
        return [warn("disk", text, fix)]
    return [ok("disk", text)]


def _free(folder: Path) -> tuple[int, int]:
    """Return free MB and inodes where a folder is, or will be."""
    while not os.access(folder, os.F_OK) and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize // _MB, found.f_favail


def storage_results(
    options: SpoolOptions, *, is_service: bool, ear_runs: bool
) -> Iterator[Results]:
    """Yield the results of spool, ledger and disk: those of the service, or of this user."""
    spool = paths.SERVICE / "spool" if is_service else paths.spool_folder(os.environ)
    ledger = paths.SERVICE_STATE if is_service else paths.state_folder(os.environ)
    spool, ledger = options.dir or spool, options.ledger_dir or ledger
    if options.enabled:
        yield attempt("spool", LOOK_S, lambda: judge_spool(spool_facts(spool), ear_runs=ear_runs))
        today = datetime.now(UTC)
        yield attempt("ledger", LOOK_S, lambda: judge_ledger(ledger_facts(ledger, today)))
    else:
        yield [skipped(check, "spool.enabled is off") for check in ("spool", "ledger")]
    yield attempt("disk", LOOK_S, lambda: judge_disk(*min(_free(spool), _free(ledger))))
