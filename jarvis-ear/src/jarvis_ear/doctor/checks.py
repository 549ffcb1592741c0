"""Checks: the lines of the doctor's page, their order, their exit status and their JSON."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from jarvis_ear import __version__
from jarvis_ear.link.tls_and_tcp import AbandonableTask

SCHEMA: Final = 1
"""Version of the JSON: a field that goes or changes its meaning raises it, a new one does not."""


class Grade(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """It works, but something is dangerous, or will fail soon."""
    FAIL = "fail"
    """The ear does not work, or will not."""
    SKIPPED = "skipped"
    """Not configured, not needed, or not possible; the text says why."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the page. A value."""

    check: str
    """Name of the check: one of ``CHECKS``."""
    grade: Grade
    text: str
    """What was found."""
    fix: str = ""
    """What to do about it, in plain words; empty: nothing."""
    exit_status: int = 0
    """Exit status of a failed check (sysexits.h); 0: it did not fail."""
    quotes_owner: bool = False
    """Whether the text repeats values of the configuration; a support bundle leaves it out."""


CHECKS: Final = (
    *("configuration", "ear", "service", "watchdog", "models"),
    *("sound card", "microphone", "sound", "loudspeaker"),
    *("dns", "tcp", "tls", "clock", "login", "token", "wire", "ping"),
    *("spool", "ledger", "disk"),
)
"""All checks in the order of the page: a cause comes before its consequences."""

Results: TypeAlias = list[CheckResult]
"""The lines of one check: usually one; more if several things were found."""

T = TypeVar("T")


def ok(check: str, text: str) -> CheckResult:
    """Return a line that reports success."""
    return CheckResult(check, Grade.OK, text)


def warn(check: str, text: str, fix: str) -> CheckResult:
    """Return a line that warns."""
    return CheckResult(check, Grade.WARN, text, fix)


def fail(check: str, text: str, fix: str, exit_status: int) -> CheckResult:
    """Return a line that reports a failure."""
    return CheckResult(check, Grade.FAIL, text, fix, exit_status)


def skipped(check: str, text: str) -> CheckResult:
    """Return a line that says why a check was not made."""
    return CheckResult(check, Grade.SKIPPED, text)


def skip(checks: Iterable[str], why: str) -> Results:
    """Return a line for each of several checks that are not made for the same reason."""
    return [skipped(check, why) for check in checks]


def within(limit_s: float, probe: Callable[[], T]) -> T:
    """Return what ``probe`` returns, or raise what it raises; ``TimeoutError`` after ``limit_s``.

    The probe runs in a daemon thread. One that hangs is abandoned and ends with the process.
    """
    return AbandonableTask("doctor", probe).result(limit_s)


def attempt(check: str, limit_s: float, probe: Callable[[], Results]) -> Results:
    """Return the results of a check that may hang or have a bug: neither ends the page."""
    try:
        return within(limit_s, probe)
    except TimeoutError:
        fix = "look at what it asks; the other lines do not depend on it"
        return [fail(check, f"no result within {limit_s:g} s", fix, 69)]
    except Exception as error:  # noqa: BLE001 - a bug in one check is a line of the page
        text = f"the check itself failed ({type(error).__name__})"
        return [fail(check, text, "please report this as a bug", 70)]


def ordered(results: Iterable[CheckResult]) -> Results:
    """Return the lines in the order of the page."""
    return sorted(results, key=lambda result: CHECKS.index(result.check))


def exit_status(results: Sequence[CheckResult]) -> int:
    """Return the exit status of the first failed line; 0 if none failed.

    The first one is the worst: the lines after it may be its consequences.
    """
    failed = [result.exit_status for result in results if result.grade is Grade.FAIL]
    return failed[0] if failed else 0


_COLOURS: Final = {Grade.OK: "32", Grade.WARN: "33", Grade.FAIL: "31", Grade.SKIPPED: "2"}


def page(results: Sequence[CheckResult], *, colour: bool, columns: int = 0) -> str:
    """Format the page: a line for each result, and a line for its fix.

    Long lines are broken at ``columns`` characters; 0: not at all, for a pipe.
    """
    lines = []
    for result in results:
        grade, indent = result.grade, " " * 24
        first, *more = _broken(f"{grade:<8} {result.check:<14} {result.text}", indent, columns)
        if colour:
            first = f"\x1b[{_COLOURS[grade]}m{grade}\x1b[0m{first[len(grade) :]}"
        lines += [first, *more]
        if result.fix:
            lines += _broken(f"{indent}-> {result.fix}", f"{indent}   ", columns)
    failed = [result.check for result in results if result.grade is Grade.FAIL]
    warned = sum(result.grade is Grade.WARN for result in results)
    head = f"{len(failed)} failed" if failed else "Nothing failed"
    advice = f" Begin with: {failed[0]}." if failed else ""
    summary = f"{head}, {warned} warning{'' if warned == 1 else 's'}.{advice}"
    return "\n".join([*lines, "", summary, ""])


def _broken(line: str, indent: str, columns: int) -> list[str]:
    if not columns or len(line) <= columns:
        return [line]
    return textwrap.wrap(line, max(columns, 60), subsequent_indent=indent, drop_whitespace=True)


def as_json(results: Sequence[CheckResult]) -> dict[str, Any]:
    """Return the page as JSON values; docs/diagnosis.md has the schema."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "exit_status": exit_status(results),
        "checks": [
            {
                "check": result.check,
                "grade": str(result.grade),
                "text": result.text,
                "fix": result.fix,
                "exit_status": result.exit_status,
            }
            for result in results
        ],
    }
