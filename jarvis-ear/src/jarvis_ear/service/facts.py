"""Facts: the paths of an installed service, and the current state of the machine."""

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
"""The user of the service, and the group whose members may use its control socket."""

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
"""All credentials without duplicates."""

HOME: Final = "/opt/jarvis-ear"
"""Home in the unit files; an installation with another home replaces it there."""


@dataclass(frozen=True, slots=True)
class Layout:
    """All paths of an installation. A value; paths are those of the running system, see ``at``."""

    root: Path = Path("/")
    """Folder that is used as the root of the file system (DESTDIR)."""
    home: Path = Path(HOME)
    """Folder of the program: releases, and a link to the current one."""
    library: Path = Path("/usr/local/lib")
    """Folder of units, users, folders and catalog; an administrator's own files take precedence."""
    programs: Path = Path("/usr/local/bin")
    """Folder of commands, in the PATH of a shell."""
    settings: Path = Path("/etc/jarvis-ear")
    """Folder of the ear's options."""
    state: Path = Path("/var/lib/jarvis-ear")
    """Folder of the ear's persistent state: mute and ledger."""
    secrets: Path = Path("/etc/credstore")
    """Folder in which the service manager looks for credentials."""
    sealed: Path = Path("/etc/credstore.encrypted")
    """Folder in which it looks for encrypted credentials."""
    overrides: Path = Path("/etc/systemd/system")
    """Folder of this machine's drop-ins."""

    def at(self, path: Path) -> Path:
        """Return the path to write to for a path of the running system."""
        return self.root / path.relative_to("/")

    @property
    def is_staged(self) -> bool:
        """Whether another system is prepared, so that this one must not change."""
        return self.root != Path("/")

    @property
    def config(self) -> Path:
        """The options file."""
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
        """Return the drop-in that makes a service load encrypted credentials."""
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
        """The file of the journal catalog."""
        return self.library / "systemd" / "catalog" / f"{EAR}.catalog"

    @property
    def pages(self) -> Path:
        """The folder of the documentation."""
        return self.library.parent / "share" / "doc" / EAR

    def manual(self, service: str) -> Path:
        """Return the man page of a program."""
        return self.library.parent / "share" / "man" / "man1" / f"{service}.1"

    @property
    def command(self) -> Path:
        """The command that a person types."""
        return self.programs / EAR


PYTHONS: Final = ("/usr/bin/python3", "python3.13", "python3.12", "python3.11", "python3.14")
"""Interpreters to try, the system's own first: a confined service cannot run one in a home."""

HOMES: Final = ("/root/", "/home/")
"""Folders that a confined service cannot see."""

MANAGER: Final = Path("/run/systemd/system")
"""Exists while systemd is the service manager (sd_booted(3))."""

RUNNING: Final = ("active", "reloading", "refreshing")
"""States of a running unit (``systemctl --state=help``)."""

STARTING: Final = "activating"
"""State of a unit that starts, or waits for its restart after a failure."""

ANSWER_S: Final = 30.0
"""Time-out in seconds; none of the commands takes a second."""

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
    """State of the machine that a plan depends on. A value."""

    python: str
    """The interpreter that makes the environment."""
    python_tag: str
    """The part of its version that an environment depends on."""
    is_managed: bool
    """Whether systemd runs, and will run the installed services."""
    active: frozenset[str] = frozenset()
    """Services that run."""
    starting: frozenset[str] = frozenset()
    """Services that are starting, or that systemd restarts because they fail."""
    enabled: frozenset[str] = frozenset()
    """Services that start at boot."""
    stored: frozenset[str] = frozenset()
    """Stored credentials."""
    sealed: frozenset[str] = frozenset()
    """Encrypted ones among ``stored``."""
    releases: tuple[Path, ...] = ()
    """Environments of this and earlier releases."""
    has_user: bool = False
    has_backend: bool = False
    """Whether the reference backend is installed as a service."""
    has_release: bool = False
    """Whether a release is in use."""
    builds_journal: bool = False
    """Whether the journal library can be built: a compiler and the headers are installed."""


@dataclass(frozen=True, slots=True)
class StoredCredentials:
    """Names of the stored credentials. A value."""

    stored: frozenset[str] = frozenset()
    sealed: frozenset[str] = frozenset()
    """Encrypted ones among ``stored``."""
    is_complete: bool = True
    """Whether all of them could be listed; only root can do so."""


def look(layout: Layout) -> Facts:
    """Return the facts of this machine. Changes nothing; without root, some facts are missing."""
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


def credentials(layout: Layout) -> StoredCredentials:
    """Return which credentials are stored.

    Only root may list the folders; for others, the drop-ins name the encrypted credentials.
    """
    try:
        opened = frozenset(n for n in ALL_CREDENTIALS if layout.at(layout.secrets / n).exists())
        sealed = frozenset(n for n in ALL_CREDENTIALS if layout.at(layout.sealed / n).exists())
    except PermissionError:
        sealed = frozenset(_named_in_dropins(layout))
        return StoredCredentials(sealed, sealed, is_complete=False)
    return StoredCredentials(opened | sealed, sealed)


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
    return subprocess.run(  # noqa: S603 - commands of our own
        argv, capture_output=True, text=True, check=False, timeout=ANSWER_S
    )
