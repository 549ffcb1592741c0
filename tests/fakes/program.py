"""Programs that a test runs to their end."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

VERB: Final = (sys.executable, "-c", "from jarvis_ear.cli import program; program()")
"""What the installed `jarvis-ear` runs; `python -m jarvis_ear` loads the ear for any verb."""


def run(
    command: Sequence[str | Path],
    *,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, capture_output=True, text=True, check=check, env=env, cwd=cwd, timeout=timeout
    )
