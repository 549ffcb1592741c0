"""A small file that is replaced whole, and for our eyes only: no crash leaves half of it."""

import os
from pathlib import Path


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
