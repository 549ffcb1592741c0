"""Storage checks: spool, ledger and disk. They read names and verdicts, and change nothing."""

import json
import os
import shutil
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
"""Free space that warrants a warning."""

MANY_WAIT: Final = 4
"""Utterances in the spool that warrant a warning: the ear sends them within seconds."""

BAD_SHARE: Final = 0.25
"""Share of a day's utterances without their reply that warrants a warning."""

LEAST_TURNS: Final = 4
"""Utterances of a day below which their share says nothing."""

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
    free_mb: int | None = None


def spool_facts(folder: Path) -> SpoolFacts:
    """Look at the spool. Reads names only, and creates nothing."""
    try:
        if not folder.exists():
            return SpoolFacts(str(folder))
        waiting = {words: _count(folder / name) for name, words in _WAITING.items()}
        free_mb = shutil.disk_usage(folder).free // _MB
    except PermissionError:
        return SpoolFacts(str(folder), problem="it belongs to another user")
    except OSError as error:
        return SpoolFacts(str(folder), problem=str(error.strerror))
    problem = "" if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else "it is not writable"
    return SpoolFacts(str(folder), waiting, problem, free_mb)


def _count(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except FileNotFoundError:
        return 0


def judge_spool(facts: SpoolFacts, *, ear_runs: bool) -> Results:
    """Judge the spool."""
    if facts.problem == "it belongs to another user":
        return [skipped("spool", f"{facts.problem}: sudo jarvis-ear doctor")]
    if facts.problem:
        fix = "make it writable for the user of the ear, or choose another with spool.dir"
        return [_spool_failed(f"{facts.folder}: {facts.problem}", fix)]
    if facts.waiting is None:
        return [skipped("spool", "no ear has used it yet")]
    if facts.free_mb is not None and facts.free_mb < LEAST_MB:
        text = f"{facts.free_mb} MB are free at {facts.folder}"
        return [_spool_failed(text, "free some space, or set spool.dir")]
    waits = {name: count for name, count in facts.waiting.items() if count}
    text = ", ".join(f"{count} {name}" for name, count in waits.items()) or "nothing waits"
    if sum(waits.values()) >= MANY_WAIT or (waits and not ear_runs):
        fix = "the next start of the ear settles them; if they stay, look at login and wire"
        return [warn("spool", f"utterances: {text}", fix)]
    return [ok("spool", text)]


def _spool_failed(text: str, fix: str) -> CheckResult:
    return CheckResult("spool", Grade.FAIL, text, fix, 73, quotes_owner=True)


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """The verdicts of the last day. A value."""

    exists: bool = False
    verdicts: Mapping[str, int] | None = None
    """Utterances of the last day by their verdict."""
    problem: str = ""


def ledger_facts(folder: Path, now: datetime) -> LedgerFacts:
    """Read the ledger: no sound and no text is in it."""
    counted: Counter[str] = Counter()
    exists, since = False, now - timedelta(days=1)
    for name in (OLD_FILE, FILE):
        try:
            lines = paths.read_regular(folder / name, 4 * _MB)[0].splitlines()
        except FileNotFoundError:
            continue
        except PermissionError:
            return LedgerFacts(problem="it belongs to another user")
        except OSError as error:
            return LedgerFacts(exists=True, problem=str(error.strerror))
        exists = True
        counted.update(_recent_verdicts(lines, since))
    return LedgerFacts(exists, dict(counted))


def _recent_verdicts(lines: list[bytes], since: datetime) -> Iterator[str]:
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, RecursionError, AttributeError):
            fields = json.loads(line)
            verdict = Verdict(fields["verdict"])
            if datetime.fromisoformat(fields["time"]) >= since:
                yield str(verdict)


def judge_ledger(facts: LedgerFacts) -> Results:
    """Judge the verdicts of the last day."""
    if facts.problem == "it belongs to another user":
        return [skipped("ledger", f"{facts.problem}: sudo jarvis-ear doctor")]
    if facts.problem:
        fix = "make the state folder of the ear readable for its user"
        return [fail("ledger", facts.problem, fix, 73)]
    if not facts.exists:
        return [skipped("ledger", "no utterance yet")]
    verdicts = facts.verdicts or {}
    total, lost = sum(verdicts.values()), sum(verdicts.get(str(each), 0) for each in _LOST)
    text = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    text = f"last day: {text or 'no utterance'}"
    if total >= LEAST_TURNS and lost >= BAD_SHARE * total:
        fix = "journalctl -u jarvis-ear --since today -x EVENT=TurnEnded says why"
        return [warn("ledger", text, fix)]
    return [ok("ledger", text)]


def judge_disk(free_mb: int, free_files: int) -> Results:
    """Judge the free space of the state folder. ``free_files``: inodes; 0 if not counted."""
    text = f"{free_mb} MB are free where the ear keeps its state"
    if free_mb < LEAST_MB or 0 < free_files < LEAST_MB:
        return [fail("disk", text, "free some space: journalctl --vacuum-size=100M", 73)]
    if free_mb < LITTLE_MB:
        return [warn("disk", text, "free some space: journalctl --vacuum-size=100M")]
    return [ok("disk", text)]


def _disk(folder: Path) -> Results:
    while not os.access(folder, os.F_OK) and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    free_mb = found.f_bavail * found.f_frsize // _MB
    return judge_disk(free_mb, found.f_favail)


def storage_folders(options: SpoolOptions, *, is_service: bool) -> tuple[Path, Path]:
    """Return the folders of the spool and of the ledger: those of the service, or of this user."""
    spool = paths.SERVICE / "spool" if is_service else paths.spool_folder(os.environ)
    ledger = paths.SERVICE_STATE if is_service else paths.state_folder(os.environ)
    return options.dir or spool, options.ledger_dir or ledger


def storage_results(
    options: SpoolOptions, *, is_service: bool, ear_runs: bool
) -> Iterator[Results]:
    """Yield the results of spool, ledger and disk."""
    spool, ledger = storage_folders(options, is_service=is_service)
    if options.enabled:
        yield attempt("spool", LOOK_S, lambda: judge_spool(spool_facts(spool), ear_runs=ear_runs))
        today = datetime.now(UTC)
        yield attempt("ledger", LOOK_S, lambda: judge_ledger(ledger_facts(ledger, today)))
    else:
        yield [skipped(check, "spool.enabled is off") for check in ("spool", "ledger")]
    yield attempt("disk", LOOK_S, lambda: _disk(ledger))
