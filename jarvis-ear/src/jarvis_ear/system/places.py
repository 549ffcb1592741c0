"""Places: the folders for what lasts as long as the process, and for what outlasts it."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from jarvis_ear.system import folders

NAME: Final = "jarvis-ear"
SOCKET: Final = "control"
"""Name of the control socket in the runtime folder."""

FEED: Final = "feed"
"""Name of the socket that a console watches, in the same folder."""

SERVICE: Final = Path("/run") / NAME
"""Where the service manager puts the runtime folder of a system service."""


def runtime_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for the control socket, made if need be; or raise OSError."""
    if given := environ.get("RUNTIME_DIRECTORY", ""):
        return Path(given.partition(":")[0])
    folder = _own_runtime_folder(environ)
    folder.mkdir(mode=0o700, exist_ok=True)
    _require_ours(folder)
    return folder


def sockets(environ: Mapping[str, str], name: str = SOCKET) -> Iterator[Path]:
    """List where a socket of a running ear may be, the most likely place first."""
    if given := environ.get("RUNTIME_DIRECTORY", ""):
        yield Path(given.partition(":")[0]) / name
    yield _own_runtime_folder(environ) / name
    yield SERVICE / name


def _own_runtime_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of a session or a user, whatever the service manager says."""
    return folders.runtime_folder({**environ, "RUNTIME_DIRECTORY": ""})


def _require_ours(folder: Path) -> None:
    """Refuse a folder that somebody else has put there, or may write into."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{folder} does not belong to us alone")
