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
    user_layout,
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

UNFIT: Final = " \t\n%\"'\\\\"
"""Characters with a meaning in a unit file, or at the beginning of a script."""

REFERENCE_URLS: Final = (BACKEND_URL, "http://127.0.0.1:4000")
"""Where the reference backend listens as a service."""


def main(verb: str, given: Mapping[str, object]) -> int:
    """Carry out a verb with its options, and return the exit status."""
    for_user = "user" in given
    if verb == "status":
        return _status(user_layout(os.environ) if for_user else _system_layout())
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
    if for_user:
        layout = _user_layout(arguments)
    else:
        named = {name: getattr(arguments, name, None) for name in ("home", "library", "programs")}
        layout = Layout(
            root=arguments.destdir.absolute(),
            **{name: path for name, path in named.items() if path is not None},
        )
    if os.geteuid() and not for_user and not arguments.dry_run and not layout.is_staged:
        again = ("sudo", str(Path(sys.argv[0]).absolute()), "service", verb)
        raise NotPermitted(f"only root may do this: {shlex.join(again)}")
    if verb == "password":
        return _store_password(arguments, layout if for_user else _system_layout())
    if verb == "install":
        return _install(arguments, layout)
    return _uninstall(arguments, layout)


def _user_layout(arguments: argparse.Namespace) -> Layout:
    """Return the layout for this user, or raise an error if a user's service cannot be meant."""
    for name in ("destdir", "home", "library", "programs"):
        if getattr(arguments, name, None) not in (None, Path("/")):
            raise UsageError(f"service {arguments.verb}: --user and --{name} exclude each other")
    if not os.geteuid():
        raise NotPermitted("--user installs for the user who types it, not for root: without sudo")
    layout = user_layout(os.environ)
    for path in (layout.home, layout.credentials):
        if set(str(path)) & set(UNFIT):
            raise ServiceError(f"a unit cannot name {path}: expected a home without spaces and %")
    installed = next((at for at in (Layout(), PACKAGE) if at.unit(EAR).exists()), None)
    if arguments.verb == "install" and installed is not None:
        raise ServiceError(
            f"the ear is a system service already ({installed.unit(EAR)}), and two would share one "
            "microphone: remove that one first"
        )
    return layout


def _system_layout() -> Layout:
    return PACKAGE if _is_packaged() else Layout()


def _destdir() -> Path:
    try:
        return Path(os.environ.get("DESTDIR") or "/").expanduser()
    except RuntimeError:
        raise UsageError("DESTDIR: its ~ stands for the home of an unknown user") from None


def _install(arguments: argparse.Namespace, layout: Layout) -> int:
    if _is_packaged() and not layout.is_staged and not layout.is_user:
        raise ServiceError(
            "the Debian package jarvis-ear is installed: apt remove jarvis-ear first"
        )
    machine = probe(layout)
    if layout.is_user and not machine.is_managed and not arguments.dry_run:
        raise ServiceError(
            "no service manager runs for this user: log in to a desktop or by ssh, not by su or "
            "sudo, or have root call  loginctl enable-linger NAME"
        )
    missing = {} if layout.is_staged else _secrets(arguments, machine, _backend_url(layout))
    encrypted = _encrypted(layout, missing, dry_run=arguments.dry_run)
    steps = plan.install(
        layout, machine, running_release(), encrypted, with_backend=arguments.with_backend
    )
    if not _execute(layout, steps, dry_run=arguments.dry_run):
        return _say("nothing to do: it is installed as it should be, and runs")
    if not arguments.dry_run and machine.is_managed:
        has_password = PASSWORD in machine.credentials.names | missing.keys()
        with_backend = arguments.with_backend or machine.has_backend
        _say(_next_steps(layout, has_password=has_password, with_backend=with_backend))
    return 0


def _store_password(arguments: argparse.Namespace, layout: Layout) -> int:
    machine = probe(layout)
    missing = _secrets(arguments, machine, _backend_url(layout))
    if not missing:
        return _say("no password given: nothing is changed")
    steps = plan.store(layout, machine, _encrypted(layout, missing, dry_run=False))
    _execute(layout, steps, dry_run=False)
    return 0


def _encrypted(
    layout: Layout, secrets: Mapping[str, str], *, dry_run: bool
) -> dict[str, credentials.Credential]:
    """Encrypt secrets if the service manager can decrypt them: a user's cannot (systemd < 256)."""
    return credentials.encrypt(secrets, dry_run=dry_run, is_possible=not layout.is_user)


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


def _execute(layout: Layout, steps: tuple[Step, ...], *, dry_run: bool) -> bool:
    """Execute the steps, or describe them; return whether there was anything to do."""
    say = (lambda line: _say(f"would {line}")) if dry_run else _say
    executor = Executor(say, manager=layout.manager, dry_run=dry_run)
    executor.do(steps)
    return bool(executor.changes)


def _next_steps(layout: Layout, *, has_password: bool, with_backend: bool) -> str:
    user = " --user" if layout.is_user else ""
    others = (
        "To start it at boot, before you log in:  loginctl enable-linger"
        if layout.is_user
        else "To let other users control it:  usermod --append --groups jarvis-ear NAME"
    )
    lines = [
        "",
        f"It is installed and runs. Its state:  jarvis-ear service status{user}",
        _backend_text(layout, with_backend=with_backend),
        f"Options: {layout.config}, then  systemctl{user} reload jarvis-ear",
        f"Log:  journalctl{user} -u jarvis-ear -f",
        others,
    ]
    if not has_password:
        lines.append(f"No password is stored:  jarvis-ear service password{user}")
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
    if not _execute(layout, steps, dry_run=arguments.dry_run):
        return _say("nothing to do: nothing of it is installed")
    if purge or arguments.dry_run:
        return 0
    rest = "the password" if layout.is_user else "the password and the user"
    return _say(f"kept: {layout.settings}, {layout.state}, {rest} (--purge)")


def _wants_purge(layout: Layout) -> bool:
    if not sys.stdin.isatty():
        return False
    question = f"Remove options, password and state too ({layout.settings}, {layout.state})? [y/N] "
    return input(question).strip().lower() in ("y", "yes")


def _status(layout: Layout) -> int:
    findings = _find(layout)
    sys.stdout.write(screen(findings, terminal_width()))
    if findings.report is None:
        return NOT_RUNNING
    return 0 if findings.report["hearing"] else NOT_HEARING


def _find(layout: Layout) -> Findings:
    ear, backend = (
        unit_properties(service, *PROPERTIES, manager=layout.manager) for service in (EAR, BACKEND)
    )
    stored = stored_credentials(layout)
    report, refusal = None, ""
    try:
        report = ask([layout.runtime / paths.SOCKET], "status")
        if report is not None:
            require_report(report)
    except (Impostor, RemoteProtocolError) as error:
        report, refusal = None, str(error)
    except OSError as error:
        hint = "as root, or as a member of the group jarvis-ear"
        refusal = f"it does not accept the connection ({error}): {hint}"
    return Findings(ear, backend, report, refusal, stored, is_user=layout.is_user)


def _say(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    return 0
