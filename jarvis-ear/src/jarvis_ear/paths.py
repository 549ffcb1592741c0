"""Paths: the ear's folders, private directories, and safe reading and writing of small files."""

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

NAME: Final = "jarvis-ear"
SOCKET: Final = "control"
"""Name of the control socket in the runtime folder."""

FEED: Final = "feed"
"""Name of the socket that sends the feed without being asked, in the same folder."""

SERVICE: Final = Path("/run") / NAME
"""Runtime folder that the service manager creates for a system service."""

SERVICE_STATE: Final = Path("/var/lib") / NAME
"""State folder that it creates for the service."""

SERVICE_SETTINGS: Final = Path("/etc") / NAME
"""Folder of the options of the service."""

CONFIG: Final = "config.toml"
"""Name of the options file in the folder of the options."""


def kind_of(path: Path) -> int | None:
    """Return the type of a file, S_IFREG and others of ``stat``; None if that cannot be found out.

    It is not there, in a folder that this user may not enter, or its name is too long: opening it
    says which.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):
        return None


def runtime_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of a service, a session or a user for files that a reboot removes."""
    return _given(environ, "RUNTIME_DIRECTORY") or _own_runtime_folder(environ)


def spool_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of waiting utterances: the runtime folder, or the last of a service's.

    The group of a service may enter its first folder, with the control socket, but not the last.
    """
    last = environ.get("RUNTIME_DIRECTORY", "").rpartition(":")[2]
    return Path(last) if last else runtime_folder(environ)


def state_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the possible state folders of an ear: that of a service, then that of this user."""
    if service := _given(environ, "STATE_DIRECTORY"):
        yield service
    yield SERVICE_STATE
    yield state_folder({**environ, "STATE_DIRECTORY": ""})


def find_state(environ: Mapping[str, str], name: str) -> Path | None:
    """Return the first existing entry ``name`` of the state folders of an ear; None without one.

    Raises ``PermissionError`` if none was found, and a state folder belongs to another user.
    """
    refusal: PermissionError | None = None
    for folder in state_folders(environ):
        try:
            (folder / name).stat()
        except PermissionError as error:
            refusal = refusal or error
        except OSError:
            continue
        else:
            return folder / name
    if refusal is not None:
        raise refusal
    return None


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of a service or a user for files that survive a reboot."""
    if service := _given(environ, "STATE_DIRECTORY"):
        return service
    if state := environ.get("XDG_STATE_HOME", ""):
        return Path(state) / NAME
    home = environ.get("HOME") or "/nonexistent"
    return Path(home) / ".local" / "state" / NAME


def user_folder(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """Return a base folder of this user, by the XDG Base Directory Specification."""
    given = environ.get(variable, "")
    return Path(given) if given.startswith("/") else Path(environ.get("HOME") or "/", default)


def user_settings(environ: Mapping[str, str]) -> Path:
    """Return the folder of this user's own options."""
    return user_folder(environ, "XDG_CONFIG_HOME", ".config") / NAME


def user_config_file(environ: Mapping[str, str]) -> Path | None:
    """Return this user's own options file; None if they have none.

    A system service has none: its home is its state folder, which its hooks may write to. A file
    of another user, for example in a home that sudo has kept, is not theirs either.
    """
    own = user_settings(environ) / CONFIG
    try:
        is_ours = own.stat().st_uid == os.geteuid()
    except OSError:
        return None
    return own if is_ours and not environ.get("STATE_DIRECTORY") else None


def control_folder(environ: Mapping[str, str]) -> Path:
    """Return the private runtime folder, and create it if necessary; or raise ``OSError``."""
    if service := _given(environ, "RUNTIME_DIRECTORY"):
        return service
    folder = _own_runtime_folder(environ)
    folder.mkdir(mode=0o700, exist_ok=True)
    _require_ours(folder)
    return folder


def sockets(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the possible paths of a running ear's control socket, in the order of attempts.

    The service's comes before that of a session or a user, because only root can create it.
    """
    if service := _given(environ, "RUNTIME_DIRECTORY"):
        yield service / SOCKET
    yield SERVICE / SOCKET
    yield _own_runtime_folder(environ) / SOCKET


def _given(environ: Mapping[str, str], name: str) -> Path | None:
    """Return the first folder that the service manager passes in this variable, if any."""
    first = environ.get(name, "").partition(":")[0]
    return Path(first) if first else None


def _own_runtime_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of a session or a user, even in a service."""
    session = environ.get("XDG_RUNTIME_DIR", "")
    if session and Path(session).is_dir():
        return Path(session) / NAME
    return Path(environ.get("TMPDIR") or "/tmp") / f"{NAME}-{os.geteuid()}"  # noqa: S108 - ours or refused


def _require_ours(folder: Path) -> None:
    """Raise ``PermissionError`` if another user owns the folder or may write into it."""
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
    """Open a regular file, and return its descriptor; or raise ``OSError``. Never blocks.

    ``flags`` are those of ``os.open``; ``mode`` is that of a new file, and ``dir_fd`` the folder of
    a relative ``path``. A symbolic link is followed only with ``follow``, for a file that the owner
    has named. A pipe, a device or a folder is always refused. Any thread.
    """
    careful = os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    handle = os.open(path, flags | careful, mode, dir_fd=dir_fd)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_regular(
    path: Path, max_bytes: int, *, follow: bool = False
) -> tuple[bytes, os.stat_result]:
    """Return the content and the status of a regular file. Any thread.

    Raises ``OSError``, also for a file longer than ``max_bytes``.
    """
    with os.fdopen(open_regular(path, os.O_RDONLY, follow=follow), "rb") as file:
        found = os.fstat(file.fileno())
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it is longer than {max_bytes} bytes", str(path))
    return data, found


def read_object(path: Path, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object in a regular file; or raise ``OSError`` or ``ValueError``."""
    try:
        value = json.loads(read_regular(path, max_bytes)[0])
    except RecursionError:
        raise ValueError("too deeply nested") from None
    if not isinstance(value, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - of the file, not of the caller
    return value


def json_objects(lines: bytes | str) -> Iterator[dict[str, Any]]:
    """Yield the JSON object in each line, and leave out lines that hold none."""
    for line in lines.splitlines():
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, dict):
                yield value


@contextmanager
def replacing(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Yield a new file that replaces ``path`` atomically at the end of the block.

    It never has more permissions than ``mode``. After an error, ``path`` is as before. Raises
    ``OSError``.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str) -> None:
    """Replace the file atomically, and create its folder if necessary; or raise ``OSError``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.encode())


FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotPrivate(OSError):
    """The folder belongs to another user."""


class PrivateFolder:
    """A folder whose regular files it reads and writes; it cannot access anything outside.

    Used by one thread at a time. Its methods raise ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        """Create the folder if necessary, and make it private."""
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
        """Close the folder."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def names(self) -> list[str]:
        """Return the names of its entries, sorted."""
        return sorted(os.listdir(self._fd))  # noqa: PTH208 - by descriptor: a path may change

    def open(self, name: str, flags: int) -> int:
        """Open a regular file, and return its descriptor."""
        return open_regular(name, flags, FILE_MODE, dir_fd=self._fd)

    def read(self, name: str, most: int) -> bytes:
        """Return the first ``most`` bytes of a file."""
        with os.fdopen(self.open(name, os.O_RDONLY), "rb") as file:
            return file.read(most)

    def append(self, name: str, data: bytes) -> int:
        """Append all of ``data`` to a file, and return its new length."""
        with os.fdopen(self.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab", 0) as file:
            write_all(file.fileno(), data)
            return os.fstat(file.fileno()).st_size

    def move(self, name: str, to: "PrivateFolder", as_name: str | None = None) -> None:
        """Move a file to another folder of the same file system, atomically."""
        os.rename(name, as_name or name, src_dir_fd=self._fd, dst_dir_fd=to._fd)  # noqa: SLF001 - ours

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def _make_private(self) -> None:
        found = os.fstat(self._fd)
        if found.st_uid != os.geteuid():
            raise NotPrivate(f"{self.path} belongs to user {found.st_uid}, expected us")
        if stat.S_IMODE(found.st_mode) != FOLDER_MODE:
            os.fchmod(self._fd, FOLDER_MODE)


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data``, in as many calls as necessary."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def expand_home(path: str) -> str:
    """Replace a leading ``~`` by the home directory; raise ``ValueError`` for an unknown user."""
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        raise ValueError("a path whose ~ stands for the home of a known user") from None
