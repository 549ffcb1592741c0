"""Reading a file that somebody named, whatever it turns out to be."""

import errno
import os
import stat
from pathlib import Path


def read_regular(path: Path, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """Read all of ``path``, and say what was found there.

    Raises ``OSError``, also for what is longer than ``max_bytes``, or never ends: a device, a pipe.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if found.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"it is longer than {max_bytes} bytes")
        return os.read(handle, max_bytes), found
    finally:
        os.close(handle)
