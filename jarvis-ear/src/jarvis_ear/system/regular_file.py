"""Opening a small file by its name, whatever somebody has put in its place."""

import errno
import os
import stat
from pathlib import Path


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
