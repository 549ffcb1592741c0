"""Folders: where a service, a session or a user keeps what is ours."""

import os
from collections.abc import Mapping
from pathlib import Path


def runtime_folder(environ: Mapping[str, str]) -> Path:
    """Return where a service, a session or else a user keeps what ends with the machine."""
    service = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if service:
        return Path(service)
    session = environ.get("XDG_RUNTIME_DIR", "")
    if session and Path(session).is_dir():
        return Path(session) / "jarvis-ear"
    return Path(environ.get("TMPDIR") or "/tmp") / f"jarvis-ear-{os.geteuid()}"  # noqa: S108 - ours or refused


def spool_folder(environ: Mapping[str, str]) -> Path:
    """Return where sentences wait: the runtime folder, or a service's last one if it has several.

    A service lets a group into the first, where its control socket is, and nobody into the last.
    """
    service = environ.get("RUNTIME_DIRECTORY", "").rpartition(":")[2]
    return Path(service) if service else runtime_folder(environ)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return where a service or a user keeps what outlives the machine's start."""
    service = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if service:
        return Path(service)
    state = environ.get("XDG_STATE_HOME", "")
    if state:
        return Path(state) / "jarvis-ear"
    home = environ.get("HOME") or "/nonexistent"
    return Path(home) / ".local" / "state" / "jarvis-ear"
