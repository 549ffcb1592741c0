"""Reading a file that its owner has named: a link may lead to it."""

import os
from pathlib import Path

from jarvis_ear.system import regular_file


def read_regular(path: Path, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """Read all of ``path``, and say what was found there.

    Raises ``OSError``, also for what is longer than ``max_bytes``, or never ends: a device, a pipe.
    """
    return regular_file.read_regular(path, max_bytes, follow=True)
