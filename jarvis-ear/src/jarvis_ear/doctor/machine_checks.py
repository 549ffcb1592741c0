"""Machine checks: configuration, running ear, service and watchdog."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from jarvis_ear import __version__, paths
from jarvis_ear.check import dangers, mistakes
from jarvis_ear.control.client import ask, require_report
from jarvis_ear.doctor.checks import CheckResult, Grade, Results, fail, ok, skipped, warn
from jarvis_ear.errors import ConfigError, JarvisEarError
from jarvis_ear.schema import Loaded
from jarvis_ear.service.probe import EAR, ENABLED, RUNNING, STARTING, unit_properties

LOOK_S: Final = 15.0
"""Time-out of each check of this module."""

UNIT_PROPERTIES: Final = (
    *("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts"),
    *("UnitFileState", "FragmentPath", "DropInPaths", "WatchdogUSec"),
)
"""Properties that are read from the service manager."""

MANAGER: Final = "Manager"
"""Property that ``unit_facts`` adds: `--user` for the service of a user, or nothing."""

MANY_RESTARTS: Final = 3
"""Automatic restarts that warrant a warning."""

_JOURNAL: Final = "journalctl -u jarvis-ear -n 50"


def judge_configuration(found: list[str], warnings: list[str], where: str) -> Results:
    """Judge the configuration: a line for each mistake, else one for each danger."""
    fix = "correct it; docs/configuration.md has the range of every option"
    if found:
        fixes = [*[""] * (len(found) - 1), fix]
        return [_quoting(Grade.FAIL, *each, 78) for each in zip(found, fixes, strict=True)]
    lines = [_quoting(Grade.WARN, line) for line in warnings]
    return lines or [ok("configuration", f"no mistake; {where}")]


def _quoting(grade: Grade, text: str, fix: str = "", status: int = 0) -> CheckResult:
    return CheckResult("configuration", grade, text, fix, status, quotes_owner=True)


def configuration_results(loaded: Loaded, *, knows_password: bool) -> Results:
    """Check a configuration that could be read, as the verb `check` does.

    ``knows_password``: False if the service has one that this process cannot read.
    """
    given = sum(origin != "default" for origin in loaded.origins.values())
    where = f"{given} of {len(loaded.origins)} options are set"
    microphone = loaded.config.microphone.model_copy(update={"device": ""})  # has its own checks
    config = loaded.config.model_copy(update={"microphone": microphone})
    hidden = () if knows_password else ("backend.password ",)
    found = [each for each in dangers(config) if not each.startswith(hidden)]
    return judge_configuration(list(mistakes(loaded)), found, where)


@dataclass(frozen=True, slots=True)
class EarFacts:
    """What a running ear answers. A value."""

    report: Mapping[str, Any] | None = None
    """Its status; None: no ear runs, or it does not answer."""
    refusal: str = ""
    """Why it does not answer; empty: none runs for this user."""
    is_private: bool = False
    """Whether it answers other users only."""

    @property
    def holds_devices(self) -> bool:
        """Whether an ear runs, or may run: then its devices are left alone."""
        return self.report is not None or bool(self.refusal)


def ear_facts(environ: Mapping[str, str] = os.environ) -> EarFacts:
    """Ask the running ear for its status."""
    try:
        report = ask(paths.sockets(environ), "status")
        if report is not None:
            require_report(report)
    except PermissionError:
        hint = "run this as root, or as a member of the group jarvis-ear"
        return EarFacts(refusal=f"it runs for other users: {hint}", is_private=True)
    except (OSError, JarvisEarError) as error:
        return EarFacts(refusal=str(error))
    return EarFacts(report)


def judge_ear(facts: EarFacts, url: str = "") -> Results:
    """Judge the running ear. ``url``: the backend of this configuration, as the ear shows it."""
    report = facts.report
    if facts.is_private:
        return [skipped("ear", facts.refusal)]
    if facts.refusal:
        return [fail("ear", facts.refusal, f"jarvis-ear service status; {_JOURNAL}", 69)]
    if report is None:
        return [skipped("ear", "none is running for this user")]
    return _judge_report(report, url)


def _judge_report(report: Mapping[str, Any], url: str) -> Results:
    name = f"version {report.get('version')}, pid {report.get('pid')}"
    if stuck := report["stuck"]:
        fix = f"the watchdog restarts it, else: systemctl restart jarvis-ear; {_JOURNAL}"
        return [fail("ear", f"stuck: {', '.join(stuck)} ({name})", fix, 70)]
    if by := report.get("muted_by"):
        return [warn("ear", f"muted by the {', '.join(by)} ({name})", "jarvis-ear unmute")]
    if not report["hearing"]:
        fix = str(report.get("deaf_remedy") or _JOURNAL)
        return [fail("ear", f"it runs and is deaf ({name})", fix, 69)]
    lines = [ok("ear", f"it hears, {report['state']}, beat {report.get('beat')} ({name})")]
    if report.get("version") != __version__:
        text = f"version {report.get('version')} runs, this is {__version__}"
        lines.append(warn("ear", text, "systemctl restart jarvis-ear"))
    if url and report.get("backend_url") not in (None, url):
        text = f"it talks to {report['backend_url']}, this configuration says {url}"
        fix = "give the doctor the options of the ear (make run: --with-backend); for a service: "
        fix += "systemctl reload jarvis-ear"
        lines.append(warn("ear", text, fix))
    return lines


def judge_unit(unit: Mapping[str, str] | None, *, ear_runs: bool) -> Results:
    """Judge the system service by its properties; None: there is no service manager."""
    if unit is None:
        return [skipped(check, "there is no systemd here") for check in ("service", "watchdog")]
    if unit.get("LoadState") != "loaded":
        text = "not installed (sudo jarvis-ear service install)"
        return [skipped("service", text), skipped("watchdog", "there is no service")]
    user = f"{unit[MANAGER]} " if unit.get(MANAGER) else ""
    dropins = unit.get("DropInPaths", "").split()
    more = f", {len(dropins)} drop-in{'' if len(dropins) == 1 else 's'}" if dropins else ""
    state = f"{unit.get('ActiveState')} ({unit.get('SubState')}){more}"
    if unit.get("ActiveState") not in RUNNING:
        text = f"{state}, last result {unit.get('Result')}, status {unit.get('ExecMainStatus')}"
        fix = f"systemctl {user}start jarvis-ear; journalctl {user}-u jarvis-ear -n 50"
        if unit.get("ExecMainStatus") == str(ConfigError.exit_status):
            fix = f"jarvis-ear check lists the mistakes; then systemctl {user}restart jarvis-ear"
        if ear_runs:
            fix = "another ear runs without the service: stop one of the two"
        return [fail("service", text, fix, 69), skipped("watchdog", "the service does not run")]
    service = ok("service", state)
    if unit.get("UnitFileState") != ENABLED:
        service = warn("service", f"{state}, not at boot", f"systemctl {user}enable jarvis-ear")
    return [service, *_judge_watchdog(unit)]


def _judge_watchdog(unit: Mapping[str, str]) -> Results:
    every, restarts = unit.get("WatchdogUSec", "0"), unit.get("NRestarts", "0")
    if every in ("0", "infinity", ""):
        fix = "a drop-in has switched it off: systemctl cat jarvis-ear"
        return [warn("watchdog", "a hung ear is not restarted", fix)]
    text = f"every {every}, {restarts} automatic restart{'' if restarts == '1' else 's'}"
    if restarts.isdecimal() and int(restarts) >= MANY_RESTARTS:
        return [warn("watchdog", text, "journalctl -u jarvis-ear -p warning -x says why")]
    return [ok("watchdog", text)]


def is_active(unit: Mapping[str, str] | None) -> bool:
    """Whether the service runs or starts."""
    return (unit or {}).get("ActiveState") in (*RUNNING, STARTING)


def unit_facts() -> Mapping[str, str] | None:
    """Return the properties of the system's unit, else of this user's; None without systemd."""
    found = None
    for manager in ((), ("--user",)):
        with suppress(JarvisEarError):
            unit = unit_properties(EAR, *UNIT_PROPERTIES, manager=manager)
            found = found or unit
            if unit.get("LoadState") == "loaded":
                return {**unit, MANAGER: " ".join(manager)}
    return found
