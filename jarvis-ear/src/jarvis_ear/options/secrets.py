"""Secret files: read without following what somebody has put in their place."""

import os
import stat
from pathlib import Path
from typing import Final

from jarvis_ear import paths


def read_regular(path: Path, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """Read all of ``path``, and say what was found there.

    Raises ``OSError``, also for what is longer than ``max_bytes``, or never ends: a device, a pipe.
    """
    return paths.read_regular(path, max_bytes, follow=True)


MAX_BYTES: Final = 4096
"""Longer than any password: another file was named by mistake."""

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""What nobody but the owner may have."""


class SecretFileError(Exception):
    """The file is there, and its content must not or cannot be used. The text says why."""


def read_secret(path: Path) -> str:
    """Read the one line of ``path``. Raises ``OSError`` or ``SecretFileError``."""
    data, _ = read_regular(path, MAX_BYTES)
    return _text(data)


def read_private_secret(path: Path) -> str:
    """Like ``read_secret``, but refuse a file that others than us and root may read."""
    data, found = read_regular(path, MAX_BYTES)
    require_private(found)
    return _text(data)


def require_private(found: os.stat_result) -> None:
    """Raise ``SecretFileError`` unless nobody but us and root can read what was found."""
    if found.st_mode & OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise SecretFileError(f"others may read it (mode {mode:04o}), expected 0600: use chmod 600")
    if found.st_uid not in {os.geteuid(), 0}:
        raise SecretFileError(f"it belongs to user {found.st_uid}, expected us or root: use chown")


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretFileError("it is no text (UTF-8)") from None
    if not text:
        raise SecretFileError("it is empty, expected a password")
    return text
