"""Status: one screen with the state of the service, and what to do about a problem."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jarvis_ear.control.report_text import TO_DO, Row, lay_out, mute_remedy, muted, rows
from jarvis_ear.errors import ConfigError
from jarvis_ear.service.probe import BACKEND, EAR, StoredCredentials

PROPERTIES: Final = (
    "LoadState",
    "ActiveState",
    "SubState",
    "StatusText",
    "Result",
    "ExecMainStatus",
    "StateChangeTimestamp",
    "NRestarts",
    "UnitFileState",
)
"""Unit properties that are read from the service manager."""


@dataclass(frozen=True, slots=True)
class Findings:
    """State of the services. A value."""

    ear: Mapping[str, str]
    """Properties of the ear's unit."""
    backend: Mapping[str, str] = field(default_factory=dict)
    """Properties of the backend's unit."""
    report: Mapping[str, Any] | None = None
    """Health report of the running ear; None if there is no answer."""
    refusal: str = ""
    """Why a running ear gives no report; empty: no reason known."""
    credentials: StoredCredentials = field(default_factory=StoredCredentials)
    """Which credentials are stored."""
    is_user: bool = False
    """Whether it is the service of a user."""

    @property
    def manager(self) -> str:
        """The option that leads commands to its service manager, and a space; or nothing."""
        return "--user " if self.is_user else ""


def screen(findings: Findings, width: int = 0) -> str:
    """Format the screen, in lines of ``width`` characters; 0: lines of any length."""
    table = [*_unit_rows(EAR, findings.ear), *_report_rows(findings.report)]
    if findings.backend.get("LoadState") == "loaded":
        table += _unit_rows(BACKEND, findings.backend)
    table.append(("credentials", _credentials(findings)))
    table.append(("to do", advice(findings)))
    return lay_out(table, width)


def _credentials(findings: Findings) -> str:
    """List the names of the stored credentials and how they are stored, but no content."""
    stored, readers = findings.credentials, "you" if findings.is_user else "root"
    names = [
        f"{name} ({'encrypted' if name in stored.encrypted else f'for {readers} only'})"
        for name in sorted(stored.names)
    ]
    if not stored.is_complete:
        names.append("unencrypted ones are shown to root only")
    return ", ".join(names) or "none"


def advice(findings: Findings) -> str:
    """Return what a person should do now."""
    return next(_problems(findings), "nothing: all is well")


def _problems(findings: Findings) -> Iterator[str]:
    """Yield advice for each problem, the most important one first."""
    ear, report, user = findings.ear, findings.report, findings.manager
    log = f"journalctl {user}-u jarvis-ear -n"
    if ear.get("LoadState") != "loaded":
        sudo, option = ("", " --user") if findings.is_user else ("sudo ", "")
        yield f"it is not installed: {sudo}jarvis-ear service install{option}"
    if ear.get("ActiveState") != "active":
        if ear.get("ExecMainStatus") == str(ConfigError.exit_status):
            yield f"the configuration has a mistake: {log} 20; then restart it"
        yield f"it does not run: {log} 50; systemctl {user}start jarvis-ear"
    if report is None:
        yield findings.refusal or f"it runs but does not answer: {log} 50"
        return
    if report.get("muted_by"):
        yield f"it is {muted(report)}: {mute_remedy(report)}"
    if not report["hearing"]:
        if report.get("deaf_remedy"):
            yield f"it is deaf: {report['deaf_remedy']}"
        yield f"it has no sound: jarvis-ear devices; {log} 20"
    if not report.get("connected"):
        if reason := report.get("backend_reason"):
            yield f"it hears but cannot use the backend: {reason}; {report['backend_remedy']}"
        yield f"it hears but cannot reach the backend: {log} 20"


def _unit_rows(name: str, unit: Mapping[str, str]) -> Iterator[Row]:
    if unit.get("LoadState") != "loaded":
        yield name, "not installed"
        return
    state = f"{unit['ActiveState']} ({unit['SubState']})"
    since = f", since {unit['StateChangeTimestamp']}" if unit.get("StateChangeTimestamp") else ""
    result = "" if unit.get("Result") in ("success", None) else f", last result {unit['Result']}"
    yield name, f"{state}{since}{result}"
    if unit.get("StatusText"):
        yield "  says", unit["StatusText"]
    if unit.get("NRestarts", "0") != "0":
        yield "  restarts", f"{unit['NRestarts']} automatic"
    if unit.get("UnitFileState") not in ("enabled", None, ""):
        yield "  at boot", f"no ({unit['UnitFileState']})"


def _report_rows(report: Mapping[str, Any] | None) -> Iterator[Row]:
    """Yield the rows of `jarvis-ear status` without remedies: the last row has the first one."""
    for name, text in rows(report) if report is not None else ():
        if name != TO_DO:
            yield f"  {name}" if name else "", text
