"""Status: one screen with the state of the service, and what to do about a problem."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jarvis_ear.mute import BUS, CLOCK, OWNER
from jarvis_ear.service.facts import EAR, StoredCredentials

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
    refused: str = ""
    """Why a running ear gives no report; empty: no reason known."""

    kept: StoredCredentials = field(default_factory=StoredCredentials)
    """Which credentials are stored."""

    @property
    def is_well(self) -> bool:
        """Whether the ear hears."""
        return self.report is not None and bool(self.report["hearing"])


def screen(findings: Findings) -> str:
    """Format the screen."""
    rows = [*_unit_rows(EAR, findings.ear), *_report_rows(findings.report)]
    if findings.backend.get("LoadState") == "loaded":
        rows += _unit_rows("jarvis-backend", findings.backend)
    rows.append(("credentials", _credentials(findings.kept)))
    rows.append(("to do", advice(findings)))
    return "".join(f"{name:<16}{value}\n" for name, value in rows)


def _credentials(kept: StoredCredentials) -> str:
    """List the names of the stored credentials and how they are stored, but no content."""
    names = [f"{name} ({_how(name, kept)})" for name in sorted(kept.stored)]
    rest = [] if kept.is_complete else ["what is not encrypted is shown to root only"]
    return ", ".join([*names, *rest]) or "none"


def _how(name: str, kept: StoredCredentials) -> str:
    return "encrypted" if name in kept.sealed else "for root only"


def advice(findings: Findings) -> str:
    """Return what a person should do now."""
    ear, report = findings.ear, findings.report
    if ear.get("LoadState") != "loaded":
        return "it is not installed: sudo jarvis-ear service install"
    if ear.get("ExecMainStatus") == "78" and ear.get("ActiveState") != "active":
        return "the configuration has a mistake: journalctl -u jarvis-ear -n 20; then restart it"
    if ear.get("ActiveState") != "active":
        return "it does not run: journalctl -u jarvis-ear -n 50; systemctl start jarvis-ear"
    if report is None:
        return findings.refused or "it runs and does not answer: journalctl -u jarvis-ear -n 50"
    return _advice_to_a_running_ear(report)


def _advice_to_a_running_ear(report: Mapping[str, Any]) -> str:
    if muted_by := report.get("muted_by", ()):
        return _advice_to_a_muted_ear(muted_by)
    if not report["hearing"]:
        if report.get("deaf_remedy"):
            return f"it is deaf: {report['deaf_remedy']}"
        return "it has no sound: jarvis-ear devices; journalctl -u jarvis-ear -n 20"
    if not report.get("connected"):
        return _advice_to_one_without_backend(report)
    return "nothing: all is well"


def _advice_to_one_without_backend(report: Mapping[str, Any]) -> str:
    if not report.get("backend_reason"):
        return "it hears and cannot reach the backend: journalctl -u jarvis-ear -n 20"
    away = f"it hears and cannot use the backend: {report['backend_reason']}"
    return f"{away}; {report['backend_remedy']}"


def _advice_to_a_muted_ear(muted_by: Collection[str]) -> str:
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
        yield "  restarts", f"{unit['NRestarts']} by itself"
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
