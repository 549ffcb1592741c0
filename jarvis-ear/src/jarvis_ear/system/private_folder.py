"""PrivateFolder: a folder that nobody else can look into, and the files in it."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from jarvis_ear.system.regular_file import open_regular

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotPrivate(OSError):
    """The folder belongs to somebody else."""


class PrivateFolder:
    """Reads and writes regular files of one folder, and can touch nothing outside it.

    One thread at a time. Raises ``OSError`` for whatever does not work.
    """

    def __init__(self, path: Path) -> None:
        """Make the folder if there is none, and take it over."""
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, _FOLDER)
        try:
            self._make_private()
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def names(self) -> list[str]:
        """Return what is in it, sorted."""
        return sorted(os.listdir(self._fd))  # noqa: PTH208 - by descriptor: a path may lead elsewhere

    def open(self, name: str, flags: int) -> int:
        """Open a regular file, and return its descriptor."""
        return open_regular(name, flags, FILE_MODE, dir_fd=self._fd)

    def read(self, name: str, most: int) -> bytes:
        """Return the first ``most`` bytes of a file."""
        with os.fdopen(self.open(name, os.O_RDONLY), "rb") as file:
            return file.read(most)

    def append(self, name: str, data: bytes) -> int:
        """Add to a file, and return how long it is then. All of ``data``, or an error."""
        with os.fdopen(self.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab", 0) as file:
            write_all(file.fileno(), data)
            return os.fstat(file.fileno()).st_size

    def move(self, name: str, to: "PrivateFolder", as_name: str | None = None) -> None:
        """Move a file to another folder of the same file system, at once or not at all."""
        os.rename(name, as_name or name, src_dir_fd=self._fd, dst_dir_fd=to._fd)  # noqa: SLF001 - ours

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def _make_private(self) -> None:
        found = os.fstat(self._fd)
        if found.st_uid != os.geteuid():
            raise NotPrivate(f"{self.path} belongs to user {found.st_uid}, expected us")
        if stat.S_IMODE(found.st_mode) != FOLDER_MODE:
            os.fchmod(self._fd, FOLDER_MODE)


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data``, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
