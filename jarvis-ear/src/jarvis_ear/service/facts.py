"""Facts: where an installed service lives, and what is there now."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwnam
from typing import Final

from jarvis_ear.errors import ServiceError

EAR: Final = "jarvis-ear"
BACKEND: Final = "jarvis-backend"

USER: Final = EAR
"""Its user, and the group whose members may ask it."""

PASSWORD: Final = "jarvis-password"  # noqa: S105 - the name of the credential
JWT_SECRET: Final = "jarvis-jwt-secret"  # noqa: S105 - the name of the credential

CREDENTIALS: Final[Mapping[str, tuple[str, ...]]] = {
    EAR: (PASSWORD, "jarvis-backend-token", "jarvis-bus-key"),
    BACKEND: (
        PASSWORD,
        JWT_SECRET,
        "jarvis-bus-key",
        "jarvis-queue-password",
        "jarvis-password-hash",
        "jarvis-stt-api-key",
        "jarvis-brain-api-key",
        "jarvis-tts-api-key",
    ),
}
"""The credentials that each service loads, as its unit names them; a test compares the two."""

ALL_CREDENTIALS: Final = tuple(dict.fromkeys((*CREDENTIALS[EAR], *CREDENTIALS[BACKEND])))
"""Each of them once."""

HOME: Final = "/opt/jarvis-ear"
"""What the unit files say; a layout with another home has it written in its place."""


@dataclass(frozen=True, slots=True)
class Layout:
    """All the places. A value; every path is one of the running system, ``at`` stages it."""

    root: Path = Path("/")
    """Folder that stands for the root of the file system (DESTDIR)."""
    home: Path = Path(HOME)
    """The program: releases, and a link to the current one."""
    library: Path = Path("/usr/local/lib")
    """Units, users, folders and catalog: below an administrator's own, which win."""
    programs: Path = Path("/usr/local/bin")
    """Where a shell looks for commands."""
    settings: Path = Path("/etc/jarvis-ear")
    """Options of the ear."""
    state: Path = Path("/var/lib/jarvis-ear")
    """What the ear keeps for good: whether it is muted, the ledger."""
    secrets: Path = Path("/etc/credstore")
    """Where the service manager looks for credentials."""
    sealed: Path = Path("/etc/credstore.encrypted")
    """Where it looks for encrypted ones."""
    overrides: Path = Path("/etc/systemd/system")
    """Drop-ins of this machine."""

    def at(self, path: Path) -> Path:
        """Return where a path of the running system stands while we install."""
        return self.root / path.relative_to("/")

    @property
    def is_staged(self) -> bool:
        """Whether another system is being put together, and nothing of this one may change."""
        return self.root != Path("/")

    @property
    def config(self) -> Path:
        """The file of options."""
        return self.settings / "config.toml"

    @property
    def releases(self) -> Path:
        """The folder with one environment for each release."""
        return self.home / "releases"

    @property
    def current(self) -> Path:
        """The link to the release in use."""
        return self.home / "current"

    def unit(self, service: str) -> Path:
        """Return the unit file of a service."""
        return self.library / "systemd" / "system" / f"{service}.service"

    def sealed_dropin(self, service: str) -> Path:
        """Return the drop-in that makes a service take encrypted credentials."""
        return self.overrides / f"{service}.service.d" / "50-credentials.conf"

    @property
    def users(self) -> Path:
        """The file that declares the user."""
        return self.library / "sysusers.d" / f"{EAR}.conf"

    @property
    def folders(self) -> Path:
        """The file that declares folders and who may read them."""
        return self.library / "tmpfiles.d" / f"{EAR}.conf"

    @property
    def catalog(self) -> Path:
        """The journal's explanations."""
        return self.library / "systemd" / "catalog" / f"{EAR}.catalog"

    @property
    def pages(self) -> Path:
        """The folder of the documentation."""
        return self.library.parent / "share" / "doc" / EAR

    @property
    def command(self) -> Path:
        """What a person types."""
        return self.programs / EAR


PYTHONS: Final = ("/usr/bin/python3", "python3.13", "python3.12", "python3.11", "python3.14")
"""The system's own first: one in somebody's home cannot be run by a confined service."""

HOMES: Final = ("/root/", "/home/")
"""What a confined service cannot see."""

MANAGER: Final = Path("/run/systemd/system")
"""There while systemd is the service manager (sd_booted(3))."""

RUNNING: Final = ("active", "reloading", "refreshing")
"""States of a unit that runs (``systemctl --state=help``)."""

STARTING: Final = "activating"
"""The state of a unit that starts, and of one that waits to be started again after a failure."""

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
    starting: frozenset[str] = frozenset()
    """Services that are on their way, or are started again and again because they fail."""
    enabled: frozenset[str] = frozenset()
    """Services that start with the machine."""
    stored: frozenset[str] = frozenset()
    """Credentials that are there."""
    sealed: frozenset[str] = frozenset()
    """Those of them that are encrypted."""
    releases: tuple[Path, ...] = ()
    """Environments of this and earlier releases."""
    has_user: bool = False
    has_backend: bool = False
    """Whether the reference backend is installed as a service already."""
    has_release: bool = False
    """Whether some release is in use."""
    builds_journal: bool = False
    """Whether the journal's library can be built: a compiler and the headers are there."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The names of the credentials that are stored. A value."""

    stored: frozenset[str] = frozenset()
    sealed: frozenset[str] = frozenset()
    """Those of them that are encrypted."""
    is_complete: bool = True
    """Whether we could look at all of them; only root can."""


def look(layout: Layout) -> Facts:
    """Look at the machine. Changes nothing, and needs no rights but to see more."""
    python, tag = _python()
    is_managed = MANAGER.is_dir() and not layout.is_staged
    services = (EAR, BACKEND)
    states = {s: _state(s) if is_managed else "" for s in services}
    kept = credentials(layout)
    return Facts(
        python=python,
        python_tag=tag,
        is_managed=is_managed,
        active=frozenset(s for s in services if states[s] in RUNNING),
        starting=frozenset(s for s in services if states[s] == STARTING),
        enabled=frozenset(s for s in services if is_managed and _systemctl("is-enabled", s)),
        stored=kept.stored,
        sealed=kept.sealed,
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


def credentials(layout: Layout) -> Kept:
    """Look at what is stored.

    Only root may look there; to others the drop-ins say what is encrypted.
    """
    try:
        opened = frozenset(n for n in ALL_CREDENTIALS if layout.at(layout.secrets / n).exists())
        sealed = frozenset(n for n in ALL_CREDENTIALS if layout.at(layout.sealed / n).exists())
    except PermissionError:
        sealed = frozenset(_named_in_dropins(layout))
        return Kept(sealed, sealed, is_complete=False)
    return Kept(opened | sealed, sealed)


def _named_in_dropins(layout: Layout) -> Iterator[str]:
    for service in (EAR, BACKEND):
        with suppress(OSError):
            for line in layout.at(layout.sealed_dropin(service)).read_text().splitlines():
                setting, _, rest = line.partition("=")
                if setting == "LoadCredentialEncrypted":
                    yield rest.partition(":")[0]


def _has_user() -> bool:
    try:
        getpwnam(USER)
    except KeyError:
        return False
    return True


def _builds_journal() -> bool:
    tools = all(shutil.which(tool) for tool in ("gcc", "pkg-config"))
    return tools and not _said(("pkg-config", "--exists", "libsystemd", "python3")).returncode


def _state(service: str) -> str:
    return _said(("systemctl", "show", "--property=ActiveState", "--value", service)).stdout.strip()


def _systemctl(question: str, service: str) -> bool:
    return not _said(("systemctl", "--quiet", question, service)).returncode


def _said(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - questions of our own
        argv, capture_output=True, text=True, check=False, timeout=ANSWER_S
    )
