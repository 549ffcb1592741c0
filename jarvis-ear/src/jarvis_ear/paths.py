"""Paths: the ear's folders, private directories, and safe reading and writing of small files."""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

NAME: Final = "jarvis-ear"
SOCKET: Final = "control"
"""Name of the control socket in the runtime folder."""

FEED: Final = "feed"
"""Name of the socket that a console watches, in the same folder."""

SERVICE: Final = Path("/run") / NAME
"""Where the service manager puts the runtime folder of a system service."""


def runtime_folder(environ: Mapping[str, str]) -> Path:
    """Return where a service, a session or else a user keeps what ends with the machine."""
    return _given(environ, "RUNTIME_DIRECTORY") or _own_runtime_folder(environ)


def spool_folder(environ: Mapping[str, str]) -> Path:
    """Return where sentences wait: the runtime folder, or a service's last one if it has several.

    A service lets its group into the first, where the control socket is, and nobody into the last.
    """
    last = environ.get("RUNTIME_DIRECTORY", "").rpartition(":")[2]
    return Path(last) if last else runtime_folder(environ)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return where a service or a user keeps what outlives the machine's start."""
    if service := _given(environ, "STATE_DIRECTORY"):
        return service
    if state := environ.get("XDG_STATE_HOME", ""):
        return Path(state) / NAME
    home = environ.get("HOME") or "/nonexistent"
    return Path(home) / ".local" / "state" / NAME


def control_folder(environ: Mapping[str, str]) -> Path:
    """Return the runtime folder, made if need be and ours alone; or raise OSError."""
    if service := _given(environ, "RUNTIME_DIRECTORY"):
        return service
    folder = _own_runtime_folder(environ)
    folder.mkdir(mode=0o700, exist_ok=True)
    _require_ours(folder)
    return folder


def sockets(environ: Mapping[str, str], name: str = SOCKET) -> Iterator[Path]:
    """List where a socket of a running ear may be, in the order in which they are asked.

    The service's comes before that of a session or a user: only root can make it.
    """
    if service := _given(environ, "RUNTIME_DIRECTORY"):
        yield service / name
    yield SERVICE / name
    yield _own_runtime_folder(environ) / name


def _given(environ: Mapping[str, str], name: str) -> Path | None:
    """Return the first of the folders that the service manager gave us, if it gave any."""
    first = environ.get(name, "").partition(":")[0]
    return Path(first) if first else None


def _own_runtime_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of a session or a user, whatever the service manager says."""
    session = environ.get("XDG_RUNTIME_DIR", "")
    if session and Path(session).is_dir():
        return Path(session) / NAME
    return Path(environ.get("TMPDIR") or "/tmp") / f"{NAME}-{os.geteuid()}"  # noqa: S108 - ours or refused


def _require_ours(folder: Path) -> None:
    """Refuse a folder that somebody else has put there, or may write into."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{folder} does not belong to us alone")


def open_regular(
    path: str | Path,
    flags: int,
    mode: int = 0o600,
    *,
    dir_fd: int | None = None,
    follow: bool = False,
) -> int:
    """Open a regular file, and return its descriptor; or raise OSError. Never waits. Any thread.

    ``flags`` are those of ``os.open``; ``mode`` is that of a file which is made, and ``dir_fd`` the
    folder in which a relative ``path`` stands. A link is followed only with ``follow``: where its
    owner has named the file. A pipe, a device or a folder is refused either way.
    """
    careful = os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    handle = os.open(path, flags | careful, mode, dir_fd=dir_fd)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def read_regular(
    path: Path, max_bytes: int, *, follow: bool = False
) -> tuple[bytes, os.stat_result]:
    """Read all of a regular file, and say what was found there. Any thread.

    Raises ``OSError``, also for what is longer than ``max_bytes``.
    """
    with os.fdopen(open_regular(path, os.O_RDONLY, follow=follow), "rb") as file:
        found = os.fstat(file.fileno())
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it is longer than {max_bytes} bytes", str(path))
    return data, found


def write_whole(path: Path, text: str) -> None:
    """Replace the file, with its folder if need be; or raise OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


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
