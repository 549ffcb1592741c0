"""ReplyFiles: a folder that gets every piece of every reply."""

import errno
import logging
import os
import re
import stat
from pathlib import Path
from typing import Final

MAX_NAME: Final = 64
"""Characters of a turn's name that go into a file's name."""

_LOGGER = logging.getLogger(__name__)


class ReplyFiles:
    """Writes replies as ``<turn>-<index>.wav``, for their owner only. For the speaker thread.

    A folder that cannot be written costs one warning and no reply.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.failures = 0
        """Pieces that could not be written."""

    def save(self, turn_id: str, index: int, audio: bytes) -> None:
        """Write one piece; a file of the same name is replaced."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._folder / file_name(turn_id, index), audio)
        except OSError as error:
            self._fail(error)

    def _write(self, path: Path, audio: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - Path.open has no mode
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, f"{path.name} is no regular file")
            file.truncate()
            file.write(audio)

    def _fail(self, error: OSError) -> None:
        self.failures += 1
        severity = logging.WARNING if self.failures == 1 else logging.DEBUG
        _LOGGER.log(severity, "reply not kept in %s: %s", self._folder, error.strerror)


def file_name(turn_id: str, index: int) -> str:
    """Name a piece by its turn and place; what the backend chose never becomes a path."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", turn_id)[:MAX_NAME] or "turn"
    return f"{safe}-{index % 1_000_000:03d}.wav"
