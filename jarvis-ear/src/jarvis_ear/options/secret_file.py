"""Files that hold a secret: read only if nobody else can read them."""

import os
import stat
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 4096
"""Longer than any password: another file was named by mistake."""

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""What nobody but the owner may have."""


class SecretFileError(Exception):
    """The file is there, and its content must not or cannot be used. The text says why."""


def read_secret(path: Path) -> str:
    """Read the one line of ``path``. Raises ``OSError`` or ``SecretFileError``."""
    return _text(_open(path))


def read_private_secret(path: Path) -> str:
    """Like ``read_secret``, but refuse a file that others than us and root may read."""
    handle = _open(path)
    try:
        require_private(os.fstat(handle))
    except SecretFileError:
        os.close(handle)
        raise
    return _text(handle)


def require_private(found: os.stat_result) -> None:
    """Raise ``SecretFileError`` unless nobody but us and root can read what was found."""
    if found.st_mode & OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise SecretFileError(f"others may read it (mode {mode:04o}), expected 0600: use chmod 600")
    if found.st_uid not in {os.geteuid(), 0}:
        raise SecretFileError(f"it belongs to user {found.st_uid}, expected us or root: use chown")


def _open(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SecretFileError("it is no regular file")
    return handle


def _text(handle: int) -> str:
    with os.fdopen(handle, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SecretFileError(f"it is longer than {MAX_BYTES} bytes, expected a password")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretFileError("it is no text (UTF-8)") from None
    if not text:
        raise SecretFileError("it is empty, expected a password")
    return text
