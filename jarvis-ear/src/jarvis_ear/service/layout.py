"""Layout: where on a machine the parts of the service stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
