"""Places: the folders for what ends with the machine's run, and for what outlasts it.

They are a service's, a session's, or else a user's.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

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
