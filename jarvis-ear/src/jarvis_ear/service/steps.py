"""Steps: what installing consists of, as values.

A step says what it wants there to be, so that doing it twice is doing it once; as text it says so
in a line. Paths are those that are written to, ``DESTDIR`` included.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Folder:
    """There is a folder."""

    path: Path
    mode: int = 0o755
    """Of a new one; one that is there keeps its own."""

    def __str__(self) -> str:
        return f"make folder {self.path} ({self.mode:04o})"


@dataclass(frozen=True, slots=True)
class File:
    """There is a file with this content."""

    path: Path
    content: bytes = field(repr=False)
    """May be a secret: shown to nobody."""
    mode: int = 0o644
    is_owners: bool = False
    """Once it is there it belongs to the owner, whatever is in it."""

    def __str__(self) -> str:
        unless = ", unless it is there" if self.is_owners else ""
        return f"write {self.path} ({self.mode:04o}{unless})"


@dataclass(frozen=True, slots=True)
class SymbolicLink:
    """There is a symbolic link, put in place of an older one at once."""

    path: Path
    target: Path

    def __str__(self) -> str:
        return f"link {self.path} to {self.target}"


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such file, link or folder."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}"


@dataclass(frozen=True, slots=True)
class GoneIfEmpty:
    """A folder that nobody uses any more is not there."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path} if it is empty"


@dataclass(frozen=True, slots=True)
class Moved:
    """What was built in one place says in its scripts that it stands in another."""

    folder: Path
    was: str
    will_be: str

    def __str__(self) -> str:
        return f"make {self.folder} say that it is {self.will_be}"


@dataclass(frozen=True, slots=True)
class Run:
    """A command, run if anything before it changed something."""

    argv: tuple[str, ...]
    always: bool = False
    """Run whatever happened before."""
    may_fail: bool = False
    """What it wants may be so already."""

    def __str__(self) -> str:
        return f"run {' '.join(self.argv)}"


@dataclass(frozen=True, slots=True)
class Enable:
    """Services that do not start with the machine do so from now on."""

    services: tuple[str, ...]

    def __str__(self) -> str:
        return f"enable {', '.join(self.services)}"


@dataclass(frozen=True, slots=True)
class StartUnit:
    """A service runs what is installed; if it cannot, everything is put back as it was."""

    service: str
    is_active: bool
    """Whether it runs already: then only a change restarts it."""
    can_return: bool
    """Whether there is something to go back to."""
    is_starting: bool = False
    """Whether it is on its way, or is started again and again because it fails."""

    @property
    def was_wanted(self) -> bool:
        """Whether going back starts it again."""
        return self.is_active or self.is_starting

    def __str__(self) -> str:
        return f"start {self.service}"


@dataclass(frozen=True, slots=True)
class Build:
    """A folder holds what these steps make. Half of it is removed and made again."""

    folder: Path
    steps: tuple["Step", ...]

    def __str__(self) -> str:
        return f"build {self.folder}"


Step: TypeAlias = (
    Folder | File | SymbolicLink | Gone | GoneIfEmpty | Moved | Run | Enable | StartUnit | Build
)
