"""Command: the verbs below `jarvis-ear service`."""

import argparse
import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jarvis_ear import paths
from jarvis_ear.config import BACKEND_URL
from jarvis_ear.control.client import ask, require_report
from jarvis_ear.errors import (
    ConfigError,
    Impostor,
    NotPermitted,
    RemoteProtocolError,
    ServiceError,
)
from jarvis_ear.options.verbs import UsageError, terminal_width
from jarvis_ear.schema import load
from jarvis_ear.service import credentials, plan
from jarvis_ear.service.executor import Executor
from jarvis_ear.service.probe import (
    BACKEND,
    EAR,
    JWT_SECRET,
    PASSWORD,
    Layout,
    Machine,
    probe,
    stored_credentials,
    unit_properties,
)
from jarvis_ear.service.release import running_release
from jarvis_ear.service.status import PROPERTIES, Findings, screen
from jarvis_ear.service.steps import Step

NOT_HEARING: Final = 1
"""Exit status of `service status`: the ear does not hear."""

NOT_RUNNING: Final = 2
"""Exit status of `service status`: nothing runs, or nothing is installed."""

PACKAGE: Final = Layout(
    home=Path("/usr/lib/jarvis-ear"), library=Path("/usr/lib"), programs=Path("/usr/bin")
)
"""Layout of the Debian package."""

REFERENCE_URLS: Final = (BACKEND_URL, "http://127.0.0.1:4000")
"""Where the reference backend listens as a service."""


def main(verb: str, given: Mapping[str, object]) -> int:
    """Carry out a verb with its options, and return the exit status."""
    if verb == "status":
        return _status()
    arguments = argparse.Namespace(
        verb=verb,
        dry_run=False,
        destdir=_destdir() if verb in ("install", "uninstall") else Path("/"),
        with_backend=False,
        new_password=verb == "password",
        password_file=None,
        purge=False,
    )
    vars(arguments).update(given)
    named = {name: getattr(arguments, name, None) for name in ("home", "library", "programs")}
    layout = Layout(
        root=arguments.destdir.absolute(),
        **{name: path for name, path in named.items() if path is not None},
    )
    if os.geteuid() and not arguments.dry_run and not layout.is_staged:
        again = ("sudo", str(Path(sys.argv[0]).absolute()), "service", verb)
        raise NotPermitted(f"only root may do this: {shlex.join(again)}")
    if verb == "password":
        return _store_password(arguments)
    if verb == "install":
        return _install(arguments, layout)
    return _uninstall(arguments, layout)


def _destdir() -> Path:
    try:
        return Path(os.environ.get("DESTDIR") or "/").expanduser()
    except RuntimeError:
        raise UsageError("DESTDIR: its ~ stands for the home of an unknown user") from None


def _install(arguments: argparse.Namespace, layout: Layout) -> int:
    if _is_packaged() and not layout.is_staged:
        raise ServiceError(
            "the Debian package jarvis-ear is installed: apt remove jarvis-ear first"
        )
    machine = probe(layout)
    missing = {} if layout.is_staged else _secrets(arguments, machine, _backend_url(layout))
    encrypted = credentials.encrypt(missing, dry_run=arguments.dry_run)
    steps = plan.install(
        layout, machine, running_release(), encrypted, with_backend=arguments.with_backend
    )
    if not _execute(steps, dry_run=arguments.dry_run):
        return _say("nothing to do: it is installed as it should be, and runs")
    if not arguments.dry_run and machine.is_managed:
        has_password = PASSWORD in machine.credentials.names | missing.keys()
        with_backend = arguments.with_backend or machine.has_backend
        _say(_next_steps(layout, has_password=has_password, with_backend=with_backend))
    return 0


def _store_password(arguments: argparse.Namespace) -> int:
    layout = PACKAGE if _is_packaged() else Layout()
    machine = probe(layout)
    missing = _secrets(arguments, machine, _backend_url(layout))
    if not missing:
        return _say("no password given: nothing is changed")
    _execute(plan.store(layout, machine, credentials.encrypt(missing)), dry_run=False)
    return 0


def _is_packaged() -> bool:
    return PACKAGE.unit(EAR).exists()


def _secrets(arguments: argparse.Namespace, machine: Machine, url: str) -> dict[str, str]:
    """Return the secrets that are not stored yet, or are to be replaced."""
    with_backend = arguments.with_backend or machine.has_backend
    stored, file = machine.credentials.names, arguments.password_file
    found: dict[str, str] = {}
    if PASSWORD not in stored or arguments.new_password or file:
        if arguments.dry_run and file is None:
            found[PASSWORD] = "asked for"
        elif password := credentials.read_password(file, backend_needs_one=with_backend, url=url):
            found[PASSWORD] = password
    if with_backend and JWT_SECRET not in stored:
        found[JWT_SECRET] = secrets.token_urlsafe(48)
    return found


def _execute(steps: tuple[Step, ...], *, dry_run: bool) -> bool:
    """Execute the steps, or describe them; return whether there was anything to do."""
    say = (lambda line: _say(f"would {line}")) if dry_run else _say
    executor = Executor(say, dry_run=dry_run)
    executor.do(steps)
    return bool(executor.changes)


def _next_steps(layout: Layout, *, has_password: bool, with_backend: bool) -> str:
    lines = [
        "",
        "It is installed and runs. Its state:  jarvis-ear service status",
        _backend_text(layout, with_backend=with_backend),
        f"Options: {layout.config}, then  systemctl reload jarvis-ear",
        "Log:  journalctl -u jarvis-ear -f",
        "To let other users control it:  usermod --append --groups jarvis-ear NAME",
    ]
    if not has_password:
        lines.append("No password is stored:  jarvis-ear service password")
    return "\n".join(lines)


def _backend_text(layout: Layout, *, with_backend: bool) -> str:
    """Say which backend the ear talks to, and where that is configured."""
    url = _backend_url(layout)
    if not url:
        return f"Its options have a mistake:  jarvis-ear check --config {layout.config}"
    is_other = urlsplit(url)[:2] not in [urlsplit(own)[:2] for own in REFERENCE_URLS]
    but = f"; the reference backend is at {REFERENCE_URLS[0]}" if with_backend and is_other else ""
    return f"It talks to the backend at {url} (backend.url){but}"


def _backend_url(layout: Layout) -> str:
    """Return the address in the options that the service will have; empty if they are invalid."""
    try:
        return load([], {}, default_file=layout.at(layout.config)).config.backend.url
    except ConfigError:
        return ""


def _uninstall(arguments: argparse.Namespace, layout: Layout) -> int:
    purge = arguments.purge or (not arguments.dry_run and _wants_purge(layout))
    steps = plan.uninstall(layout, probe(layout), purge=purge)
    if not _execute(steps, dry_run=arguments.dry_run):
        return _say("nothing to do: nothing of it is installed")
    if purge or arguments.dry_run:
        return 0
    return _say(f"kept: {layout.settings}, {layout.state}, the password and the user (--purge)")


def _wants_purge(layout: Layout) -> bool:
    if not sys.stdin.isatty():
        return False
    question = f"Remove options, password and state too ({layout.settings}, {layout.state})? [y/N] "
    return input(question).strip().lower() in ("y", "yes")


def _status() -> int:
    findings = _find()
    sys.stdout.write(screen(findings, terminal_width()))
    if findings.report is None:
        return NOT_RUNNING
    return 0 if findings.report["hearing"] else NOT_HEARING


def _find() -> Findings:
    ear, backend = (unit_properties(service, *PROPERTIES) for service in (EAR, BACKEND))
    stored = stored_credentials(PACKAGE if _is_packaged() else Layout())
    report, refusal = None, ""
    try:
        report = ask([paths.SERVICE / paths.SOCKET], "status")
        if report is not None:
            require_report(report)
    except (Impostor, RemoteProtocolError) as error:
        report, refusal = None, str(error)
    except OSError as error:
        hint = "as root, or as a member of the group jarvis-ear"
        refusal = f"it does not accept the connection ({error}): {hint}"
    return Findings(ear, backend, report, refusal, stored)


def _say(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    return 0
