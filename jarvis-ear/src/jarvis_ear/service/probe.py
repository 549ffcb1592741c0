"""Probe: the paths of an installation, and the state of the machine that it depends on."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from pwd import getpwnam
from typing import Final

from jarvis_ear import paths
from jarvis_ear.errors import JarvisEarError, ServiceError

EAR: Final = "jarvis-ear"
BACKEND: Final = "jarvis-backend"

USER: Final = EAR
"""The user of the service, and the group whose members may use its control socket."""

HOME: Final = "/opt/jarvis-ear"
"""Home in the unit files; an installation with another home replaces it there."""

PASSWORD: Final = "jarvis-password"  # noqa: S105 - the name of the credential
JWT_SECRET: Final = "jarvis-jwt-secret"  # noqa: S105 - the name of the credential

CREDENTIALS: Final[Mapping[str, tuple[str, ...]]] = {
    EAR: (
        PASSWORD,
        "jarvis-backend-token",
        "jarvis-bus-key",
        "jarvis-rooms-key",
        "jarvis-mqtt-password",
    ),
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
    settings: Path = paths.SERVICE_SETTINGS
    """Folder of the ear's options."""
    state: Path = paths.SERVICE_STATE
    """Folder of the ear's persistent state: mute and ledger."""
    backend_state: Path = Path("/var/lib/jarvis-backend")
    """Folder of the backend's timers and models: as a system service a link to one in `private`,
    because its user exists only while it runs."""
    credentials: Path = Path("/etc/credstore")
    """Folder in which the service manager looks for credentials."""
    encrypted: Path = Path("/etc/credstore.encrypted")
    """Folder in which it looks for encrypted credentials."""
    overrides: Path = Path("/etc/systemd/system")
    """Folder of this machine's drop-ins."""
    runtime: Path = paths.SERVICE
    """Runtime folder; the service manager keeps it between two runs of the ear."""
    is_user: bool = False
    """Whether the service manager of one user runs the ear, in their sessions, without root."""

    def at(self, path: Path) -> Path:
        """Return the path to write to for a path of the running system."""
        return self.root / path.relative_to("/")

    @property
    def is_staged(self) -> bool:
        """Whether another system is prepared, so that this one must not change."""
        return self.root != Path("/")

    @property
    def manager(self) -> tuple[str, ...]:
        """Options that lead `systemctl`, `journalctl` and our own verbs to this service manager."""
        return ("--user",) if self.is_user else ()

    @property
    def systemctl(self) -> tuple[str, ...]:
        """The command that asks the service manager."""
        return ("systemctl", *self.manager)

    @property
    def share(self) -> Path:
        """The folder of files that no program runs."""
        return self.library if self.is_user else self.library.parent / "share"

    @property
    def config(self) -> Path:
        """The options file."""
        return self.settings / paths.CONFIG

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
        kind = "user" if self.is_user else "system"
        return self.library / "systemd" / kind / f"{service}.service"

    def credentials_dropin(self, service: str) -> Path:
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
        return self.share / "doc" / EAR

    def manual(self, service: str) -> Path:
        """Return the man page of a program."""
        return self.share / "man" / "man1" / f"{service}.1"

    @property
    def command(self) -> Path:
        """The command that a person types."""
        return self.programs / EAR


def user_layout(environ: Mapping[str, str]) -> Layout:
    """Return the paths of an installation in the home of a user."""
    data = paths.user_folder(environ, "XDG_DATA_HOME", ".local/share")
    settings = paths.user_settings(environ)
    state = paths.user_folder(environ, "XDG_STATE_HOME", ".local/state")
    return Layout(
        home=data / EAR,
        library=data,
        programs=Path(environ.get("HOME") or "/", ".local", "bin"),
        settings=settings,
        state=state / EAR,
        backend_state=state / BACKEND,
        credentials=settings / "credentials",
        encrypted=settings / "credentials.encrypted",
        overrides=settings.parent / "systemd" / "user",
        runtime=Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", EAR),
        is_user=True,
    )


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

ENABLED: Final = "enabled"
"""State of a unit file that starts at boot."""

_NO_MANAGER: Final = "the service manager does not answer: is systemd running?"

COMMAND_S: Final = 30.0
"""Time-out in seconds; none of the commands takes a second."""

_PYTHON_PROBE: Final = """\
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
class StoredCredentials:
    """Names of the stored credentials. A value."""

    names: frozenset[str] = frozenset()
    encrypted: frozenset[str] = frozenset()
    """Encrypted ones among ``names``."""
    is_complete: bool = True
    """Whether all of them could be listed; only root can do so."""


@dataclass(frozen=True, slots=True)
class Machine:
    """State of the machine. A value."""

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
    credentials: StoredCredentials = field(default_factory=StoredCredentials)
    releases: tuple[Path, ...] = ()
    """Environments of this and earlier releases."""
    has_user: bool = False
    has_backend: bool = False
    """Whether the reference backend is installed as a service."""
    has_release: bool = False
    """Whether a release is in use."""
    builds_journal: bool = False
    """Whether the journal library can be built: a compiler and the headers are installed."""


def probe(layout: Layout) -> Machine:
    """Return the state of this machine. Changes nothing; without root, some of it is missing."""
    python, tag = _python(may_be_in_home=layout.is_user)
    manager = layout.runtime.parent / "systemd" / "private" if layout.is_user else MANAGER
    is_managed = manager.exists() and not layout.is_staged
    services = (EAR, BACKEND) if is_managed else ()
    properties = ("ActiveState", "UnitFileState")
    units = {s: unit_properties(s, *properties, manager=layout.manager) for s in services}
    return Machine(
        python=python,
        python_tag=tag,
        is_managed=is_managed,
        active=frozenset(s for s in services if units[s].get("ActiveState") in RUNNING),
        starting=frozenset(s for s in services if units[s].get("ActiveState") == STARTING),
        enabled=frozenset(s for s in services if units[s].get("UnitFileState") == ENABLED),
        credentials=stored_credentials(layout),
        releases=tuple(sorted(layout.at(layout.releases).glob("*"))),
        has_user=_has_user() and not layout.is_staged and not layout.is_user,
        has_backend=layout.at(layout.unit(BACKEND)).exists(),
        has_release=layout.at(layout.current).is_symlink(),
        builds_journal=all(shutil.which(tool) for tool in ("gcc", "pkg-config"))
        and not run(("pkg-config", "--exists", "libsystemd", "python3")).returncode,
    )


def _python(*, may_be_in_home: bool) -> tuple[str, str]:
    reasons = []
    for name in PYTHONS:
        path = shutil.which(name)
        if path is None:
            continue
        done = run((path, "-I", "-c", _PYTHON_PROBE))
        tag, _, prefix = done.stdout.strip().partition(" ")
        if done.returncode:
            reasons.append(f"{path} {done.stderr.strip()}")
        elif prefix.startswith(HOMES) and not may_be_in_home:
            reasons.append(f"{path} is in a home, where no service can see it")
        else:
            return path, tag
    raise ServiceError("; ".join(reasons) or "expected Python 3.11 or newer in /usr/bin")


def stored_credentials(layout: Layout) -> StoredCredentials:
    """Return which credentials are stored.

    Only root may list the folders; for others, the drop-ins name the encrypted credentials.
    """
    try:
        plain = {n for n in ALL_CREDENTIALS if layout.at(layout.credentials / n).exists()}
        encrypted = {n for n in ALL_CREDENTIALS if layout.at(layout.encrypted / n).exists()}
    except PermissionError:
        named = frozenset(_named_in_dropins(layout))
        return StoredCredentials(named, named, is_complete=False)
    return StoredCredentials(frozenset(plain | encrypted), frozenset(encrypted))


def _named_in_dropins(layout: Layout) -> Iterator[str]:
    for service in (EAR, BACKEND):
        with suppress(OSError):
            for line in layout.at(layout.credentials_dropin(service)).read_text().splitlines():
                setting, _, rest = line.partition("=")
                if setting == "LoadCredentialEncrypted":
                    yield rest.partition(":")[0]


def _has_user() -> bool:
    try:
        getpwnam(USER)
    except KeyError:
        return False
    return True


def unit_properties(service: str, *names: str, manager: tuple[str, ...] = ()) -> dict[str, str]:
    """Return properties of a unit. Raises ``JarvisEarError`` without a service manager.

    ``manager`` is that of the layout.
    """
    properties = f"--property={','.join(names)}"
    argv = ("systemctl", *manager, "show", f"{service}.service", properties)
    try:
        done = run(argv)
    except ServiceError as error:
        raise JarvisEarError(_NO_MANAGER) from error
    if done.returncode:
        raise JarvisEarError(_NO_MANAGER)
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def run(argv: Sequence[str], timeout_s: float = COMMAND_S) -> "subprocess.CompletedProcess[str]":
    """Run a command. Raises ``ServiceError`` if it is not installed or does not end in time."""
    try:
        return subprocess.run(  # noqa: S603 - commands of our own
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise ServiceError(f"{argv[0]} is not installed on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"{argv[0]} did not end within {timeout_s:g} s") from error
