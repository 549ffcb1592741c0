"""Steps: the parts of an installation, as values.

A step describes a result, so it is idempotent; ``str()`` describes it in a line. Paths are those
that are written to, ``DESTDIR`` included.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Folder:
    """Create a folder."""

    path: Path
    mode: int = 0o755
    """Mode of a new folder; an existing one keeps its own."""

    def __str__(self) -> str:
        return f"make folder {self.path} ({self.mode:04o})"


@dataclass(frozen=True, slots=True)
class File:
    """Write a file with this content."""

    path: Path
    content: bytes = field(repr=False)
    """May be a secret: never shown."""
    mode: int = 0o644
    is_owners: bool = False
    """Whether an existing file belongs to the owner and is never overwritten."""

    def __str__(self) -> str:
        unless = ", unless it exists" if self.is_owners else ""
        return f"write {self.path} ({self.mode:04o}{unless})"


@dataclass(frozen=True, slots=True)
class SymbolicLink:
    """Create a symbolic link, or replace an older one atomically."""

    path: Path
    target: Path

    def __str__(self) -> str:
        return f"link {self.path} to {self.target}"


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file, link or folder."""

    path: Path
    only_empty: bool = False
    """Keep a folder that is not empty."""

    def __str__(self) -> str:
        return f"remove {self.path}{' if it is empty' if self.only_empty else ''}"


@dataclass(frozen=True, slots=True)
class Relocate:
    """Replace the path of an environment in its scripts, because it is used in another place."""

    folder: Path
    old: str
    new: str

    def __str__(self) -> str:
        return f"replace {self.old} by {self.new} in the scripts of {self.folder}"


@dataclass(frozen=True, slots=True)
class Run:
    """Run a command if any step before it changed something."""

    argv: tuple[str, ...]
    always: bool = False
    """Run it in any case."""
    may_fail: bool = False
    """Ignore a failure, because the result may exist already."""

    def __str__(self) -> str:
        return f"run {' '.join(self.argv)}"


@dataclass(frozen=True, slots=True)
class Enable:
    """Enable services to start at boot; this does not restart running services."""

    services: tuple[str, ...]

    def __str__(self) -> str:
        return f"enable {', '.join(self.services)}"


@dataclass(frozen=True, slots=True)
class StartUnit:
    """Start or restart a service; if that fails, the installation is rolled back."""

    service: str
    is_active: bool
    """Whether it runs already; then it is restarted only after a change."""
    can_roll_back: bool
    """Whether there is an earlier installation to roll back to."""
    is_starting: bool = False
    """Whether it is starting, or systemd restarts it because it fails."""

    @property
    def was_wanted(self) -> bool:
        """Whether a rollback starts it again."""
        return self.is_active or self.is_starting

    def __str__(self) -> str:
        return f"start {self.service}"


@dataclass(frozen=True, slots=True)
class Build:
    """Build a folder with these steps. An incomplete one is removed and built again."""

    folder: Path
    steps: tuple["Step", ...]

    def __str__(self) -> str:
        return f"build {self.folder}"


Step: TypeAlias = (
    Folder | File | SymbolicLink | Remove | Relocate | Run | Enable | StartUnit | Build
)
