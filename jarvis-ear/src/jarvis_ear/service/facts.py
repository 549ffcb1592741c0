"""Facts: what the machine is like before anything is done to it."""

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwnam
from typing import Final

from jarvis_ear.errors import ServiceError
from jarvis_ear.service.layout import BACKEND, EAR, JWT_SECRET, PASSWORD, USER, Layout

PYTHONS: Final = ("/usr/bin/python3", "python3.13", "python3.12", "python3.11", "python3.14")
"""The system's own first: one in somebody's home cannot be run by a confined service."""

HOMES: Final = ("/root/", "/home/")
"""What a confined service cannot see."""

MANAGER: Final = Path("/run/systemd/system")
"""There while systemd is the service manager (sd_booted(3))."""

ANSWER_S: Final = 30.0
"""None of the questions takes a second."""

_ASK_PYTHON: Final = """\
import sys
try:
    import ensurepip, venv
except ImportError:
    sys.exit("needs venv: apt install python3-venv")
if sys.version_info < (3, 11):
    sys.exit("is older than 3.11")
print(sys.implementation.cache_tag, sys.base_prefix)
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plan depends on. A value."""

    python: str
    """The interpreter that the environment is made with."""
    python_tag: str
    """Its version, as far as an environment depends on it."""
    is_managed: bool
    """Whether systemd runs, and runs what we install."""
    active: frozenset[str] = frozenset()
    """Services that run."""
    enabled: frozenset[str] = frozenset()
    """Services that start with the machine."""
    stored: frozenset[str] = frozenset()
    """Credentials that are there."""
    releases: tuple[Path, ...] = ()
    """Environments of this and earlier releases."""
    has_user: bool = False
    has_backend: bool = False
    """Whether the reference backend is installed as a service already."""
    has_release: bool = False
    """Whether some release is in use."""
    builds_journal: bool = False
    """Whether the journal's library can be built: a compiler and the headers are there."""


def look(layout: Layout) -> Facts:
    """Look at the machine. Changes nothing, and needs no rights but to see more."""
    python, tag = _python()
    is_managed = MANAGER.is_dir() and not layout.is_staged
    services = (EAR, BACKEND)
    return Facts(
        python=python,
        python_tag=tag,
        is_managed=is_managed,
        active=frozenset(s for s in services if is_managed and _systemctl("is-active", s)),
        enabled=frozenset(s for s in services if is_managed and _systemctl("is-enabled", s)),
        stored=frozenset(_stored(layout)),
        releases=tuple(sorted(layout.at(layout.releases).glob("*"))),
        has_user=_has_user() and not layout.is_staged,
        has_backend=layout.at(layout.unit(BACKEND)).exists(),
        has_release=layout.at(layout.current).is_symlink(),
        builds_journal=_builds_journal(),
    )


def _python() -> tuple[str, str]:
    reasons = []
    for name in PYTHONS:
        path = shutil.which(name)
        if path is None:
            continue
        done = _said((path, "-I", "-c", _ASK_PYTHON))
        tag, _, prefix = done.stdout.strip().partition(" ")
        if done.returncode:
            reasons.append(f"{path} {done.stderr.strip()}")
        elif prefix.startswith(HOMES):
            reasons.append(f"{path} is in a home, where no service can see it")
        else:
            return path, tag
    raise ServiceError("; ".join(reasons) or "expected Python 3.11 or newer in /usr/bin")


def _stored(layout: Layout) -> list[str]:
    found = []
    for name in (PASSWORD, JWT_SECRET):
        with suppress(PermissionError):  # who may not look there may not install either
            if any(layout.at(p / name).exists() for p in (layout.secrets, layout.sealed)):
                found.append(name)
    return found


def _has_user() -> bool:
    try:
        getpwnam(USER)
    except KeyError:
        return False
    return True


def _builds_journal() -> bool:
    tools = all(shutil.which(tool) for tool in ("gcc", "pkg-config"))
    return tools and not _said(("pkg-config", "--exists", "libsystemd", "python3")).returncode


def _systemctl(question: str, service: str) -> bool:
    return not _said(("systemctl", "--quiet", question, service)).returncode


def _said(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - questions of our own
        argv, capture_output=True, text=True, check=False, timeout=ANSWER_S
    )
