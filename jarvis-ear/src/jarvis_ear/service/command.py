"""`jarvis-ear service`: does its verbs, and tells a person what was done."""

import argparse
import os
import shlex
import subprocess
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
    JarvisEarError,
    NotPermitted,
    RemoteProtocolError,
    ServiceError,
)
from jarvis_ear.options.verbs import UsageError
from jarvis_ear.schema import load
from jarvis_ear.service import credentials, plan, release
from jarvis_ear.service.executor import Executor
from jarvis_ear.service.executor import dry_run as rehearse
from jarvis_ear.service.facts import BACKEND, EAR, JWT_SECRET, PASSWORD, Facts, Layout, look
from jarvis_ear.service.facts import credentials as stored_credentials
from jarvis_ear.service.plan import Wishes
from jarvis_ear.service.status import PROPERTIES, Findings, screen
from jarvis_ear.service.steps import Step

UNWELL: Final = 1
"""Exit status of `service status`: it does not hear."""

NOT_RUNNING: Final = 2
"""Exit status of `service status`: nothing runs, or nothing is installed."""

PACKAGE: Final = Layout(
    home=Path("/usr/lib/jarvis-ear"), library=Path("/usr/lib"), programs=Path("/usr/bin")
)
"""Where the Debian package has everything, and we do not."""


OWN_URLS: Final = (BACKEND_URL, "http://127.0.0.1:4000")
"""Where the reference backend listens as a service."""


def main(verb: str, given: Mapping[str, object]) -> int:
    """Carry out a verb with its options, and return the exit status."""
    asked = argparse.Namespace(
        verb=verb,
        dry_run=False,
        destdir=_destdir() if verb in ("install", "uninstall") else Path("/"),
        with_backend=False,
        new_password=verb == "password",
        password_file=None,
        purge=False,
    )
    vars(asked).update(given)
    if verb == "status":
        return _status()
    layout = _layout(asked)
    _require_root(asked, layout)
    if verb == "password":
        return _store_password(asked)
    if verb == "install":
        return _install(asked, layout)
    return _uninstall(asked, layout)


def _destdir() -> Path:
    try:
        return Path(os.environ.get("DESTDIR") or "/").expanduser()
    except RuntimeError:
        raise UsageError("DESTDIR: its ~ stands for the home of an unknown user") from None


def _layout(asked: argparse.Namespace) -> Layout:
    named = {
        name: getattr(asked, name)
        for name in ("home", "library", "programs")
        if getattr(asked, name, None) is not None
    }
    return Layout(root=asked.destdir.absolute(), **named)


def _require_root(asked: argparse.Namespace, layout: Layout) -> None:
    if os.geteuid() == 0 or asked.dry_run or layout.is_staged:
        return
    again = shlex.join(["sudo", str(Path(sys.argv[0]).absolute()), "service", asked.verb])
    raise NotPermitted(f"only root may do this: {again}")


def _install(asked: argparse.Namespace, layout: Layout) -> int:
    if _is_packaged() and not layout.is_staged:
        raise ServiceError(
            "the Debian package jarvis-ear is installed: apt remove jarvis-ear first"
        )
    what, facts = release.of_what_runs(), look(layout)
    secrets = {} if layout.is_staged else _secrets(asked, facts, _backend_url(layout))
    stored = credentials.unsealed(secrets) if asked.dry_run else credentials.seal(secrets)
    steps = plan.install(layout, facts, what, Wishes(asked.with_backend, stored))
    if not _carry_out(steps, dry_run=asked.dry_run):
        return _say("nothing to do: it is installed as it should be, and runs")
    if asked.dry_run or not facts.is_managed:
        return 0
    has_password = PASSWORD in facts.stored | secrets.keys()
    with_backend = asked.with_backend or facts.has_backend
    return _say(_what_next(layout, has_password=has_password, with_backend=with_backend))


def _store_password(asked: argparse.Namespace) -> int:
    layout = PACKAGE if _is_packaged() else Layout()
    facts = look(layout)
    stored = credentials.seal(_secrets(asked, facts, _backend_url(layout)))
    if not stored:
        return _say("no password given: nothing is changed")
    _carry_out(plan.password(layout, facts, Wishes(credentials=stored)), dry_run=False)
    return 0


def _is_packaged() -> bool:
    return PACKAGE.unit(EAR).exists()


def _secrets(asked: argparse.Namespace, facts: Facts, url: str) -> dict[str, str]:
    """Gather what has to be stored and is not, or is to be stored anew."""
    with_backend = asked.with_backend or facts.has_backend
    found: dict[str, str] = {}
    if PASSWORD not in facts.stored or asked.new_password or asked.password_file:
        password = _password(asked, url, with_backend=with_backend)
        if password is not None:
            found[PASSWORD] = password
    if with_backend and JWT_SECRET not in facts.stored:
        found[JWT_SECRET] = credentials.new_jwt_secret()
    return found


def _password(asked: argparse.Namespace, url: str, *, with_backend: bool) -> str | None:
    if asked.dry_run and asked.password_file is None:
        return "asked for"
    return credentials.password_given(asked.password_file, backend_needs_one=with_backend, url=url)


def _carry_out(steps: tuple[Step, ...], *, dry_run: bool) -> bool:
    """Do the steps, or say them; return whether there was anything to do."""
    if dry_run:
        return bool(rehearse(steps, lambda line: _say(f"would {line}")))
    executor = Executor(_say)
    executor.do(steps)
    return bool(executor.changes)


def _what_next(layout: Layout, *, has_password: bool, with_backend: bool) -> str:
    lines = [
        "",
        "It is installed and runs. How it does:  jarvis-ear service status",
        f"{_backend_words(layout, with_backend=with_backend)}",
        f"Options: {layout.config}, then  systemctl reload jarvis-ear",
        "What happens:  journalctl -u jarvis-ear -f",
        "For others than root to ask and mute it:  usermod --append --groups jarvis-ear NAME",
    ]
    if not has_password:
        lines.append("No password is stored:  jarvis-ear service password")
    return "\n".join(lines)


def _backend_words(layout: Layout, *, with_backend: bool) -> str:
    """Say which backend the ear talks to, and where that is configured."""
    url = _backend_url(layout)
    if not url:
        return f"Its options have a mistake:  jarvis-ear check --config {layout.config}"
    is_other = with_backend and urlsplit(url)[:2] not in [urlsplit(own)[:2] for own in OWN_URLS]
    but = f"; the reference backend is at {OWN_URLS[0]}" if is_other else ""
    return f"It talks to the backend at {url} (backend.url){but}"


def _backend_url(layout: Layout) -> str:
    """Return the address in the options that the service will have; empty if they are wrong."""
    try:
        return load([], {}, default_file=layout.at(layout.config)).config.backend.url
    except ConfigError:
        return ""


def _uninstall(asked: argparse.Namespace, layout: Layout) -> int:
    purge = asked.purge or (not asked.dry_run and _wants_purge(layout))
    steps = plan.uninstall(layout, look(layout), purge=purge)
    if not _carry_out(steps, dry_run=asked.dry_run):
        return _say("nothing to do: nothing of it is installed")
    if purge or asked.dry_run:
        return 0
    return _say(f"kept: {layout.settings}, {layout.state}, the password and the user (--purge)")


def _wants_purge(layout: Layout) -> bool:
    if not sys.stdin.isatty():
        return False
    question = f"Remove options, password and state too ({layout.settings}, {layout.state})? [y/N] "
    return input(question).strip().lower() in ("y", "yes")


def _status() -> int:
    findings = _find_out()
    sys.stdout.write(screen(findings))
    if findings.report is None:
        return NOT_RUNNING
    return 0 if findings.is_well else UNWELL


def _find_out() -> Findings:
    ear, backend = _properties(EAR), _properties(BACKEND)
    kept = stored_credentials(PACKAGE if _is_packaged() else Layout())
    try:
        report = ask([paths.SERVICE / paths.SOCKET], "status")
        if report is not None:
            require_report(report)
    except (Impostor, RemoteProtocolError) as error:
        return Findings(ear, backend, refused=str(error), kept=kept)
    except OSError as error:
        hint = "as root, or as a member of the group jarvis-ear"
        return Findings(ear, backend, refused=f"it cannot be asked ({error}): {hint}", kept=kept)
    return Findings(ear, backend, report, kept=kept)


def _properties(service: str) -> dict[str, str]:
    argv = ("systemctl", "show", f"{service}.service", f"--property={','.join(PROPERTIES)}")
    try:
        done = subprocess.run(  # noqa: S603 - a question of our own
            argv, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise JarvisEarError("the service manager cannot be asked: is systemd running?") from error
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _say(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    return 0
