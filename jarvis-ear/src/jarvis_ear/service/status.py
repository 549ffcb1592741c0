"""Status: one screen with the state of the service, and what to do about a problem."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jarvis_ear.errors import ConfigError
from jarvis_ear.mute import BUS, CLOCK, OWNER
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

TURNS: Final = 3
"""Number of the last turns that are shown."""


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


def screen(findings: Findings) -> str:
    """Format the screen."""
    rows = [*_unit_rows(EAR, findings.ear), *_report_rows(findings.report)]
    if findings.backend.get("LoadState") == "loaded":
        rows += _unit_rows(BACKEND, findings.backend)
    rows.append(("credentials", _credentials(findings)))
    rows.append(("to do", advice(findings)))
    return "".join(f"{name:<16}{value}\n" for name, value in rows)


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
        yield _muted_advice(report["muted_by"])
    if not report["hearing"]:
        if report.get("deaf_remedy"):
            yield f"it is deaf: {report['deaf_remedy']}"
        yield f"it has no sound: jarvis-ear devices; {log} 20"
    if not report.get("connected"):
        if reason := report.get("backend_reason"):
            yield f"it hears but cannot use the backend: {reason}; {report['backend_remedy']}"
        yield f"it hears but cannot reach the backend: {log} 20"


def _muted_advice(muted_by: Collection[str]) -> str:
    if OWNER in muted_by:
        return "it is muted by you: jarvis-ear unmute"
    if BUS in muted_by:
        return "it is muted by the event bus (bus.url): switch audio on there, or jarvis-ear unmute"
    if set(muted_by) == {CLOCK}:
        return "it is muted by the clock (microphone.mute_between): nothing, or jarvis-ear unmute"
    return f"it is muted by the {', '.join(muted_by)}: jarvis-ear unmute"


def _unit_rows(name: str, unit: Mapping[str, str]) -> Iterator[tuple[str, str]]:
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


def _report_rows(report: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if report is None:
        return
    heard = "never" if report["heard_s_ago"] is None else f"{report['heard_s_ago']:.1f} s ago"
    yield "  hears", f"{'yes' if report['hearing'] else 'no'}, last sound {heard}"
    if report.get("muted_by"):
        yield "  muted by", ", ".join(report["muted_by"])
    if report.get("deaf_reason"):
        yield "  deaf", report["deaf_reason"]
    yield "  state", str(report["state"])
    yield "  deaf today", f"{report['deaf_s_today']:.0f} s"
    where = f", {report['backend_url']}" if report.get("backend_url") else ""
    yield "  backend", ("connected" if report.get("connected") else "not connected") + where
    for turn in list(report["turns"])[-TURNS:]:
        yield "  turn", f"{turn['ended_s_ago']:.0f} s ago: {turn['story']}"
