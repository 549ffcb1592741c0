"""A decoder for a process of its own that takes as long as a test wants it to.

What it is given as sound is the path of a FIFO: it opens it, waits for the end of what the test
writes, and answers with its own process id. Sound without a path is answered at once.
"""

import os
import sys
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.engines.sphinx_child import read_frame, write_frame

NAME: Final = __name__
"""What to run."""


def gated(path: Path) -> npt.NDArray[np.int16]:
    """Sound that is understood when ``path`` has been written and closed."""
    text = os.fsencode(path)
    return np.frombuffer(text + b"\0" * (len(text) % 2), "<i2")


def free(samples: int = 0) -> npt.NDArray[np.int16]:
    return np.zeros(samples, np.int16)


def main() -> None:
    write_frame(sys.stdout.buffer, b"")
    while (sound := read_frame(sys.stdin.buffer)) is not None:
        path = sound.rstrip(b"\0")
        if path:
            Path(os.fsdecode(path)).read_bytes()
        write_frame(sys.stdout.buffer, str(os.getpid()).encode())


if __name__ == "__main__":
    main()
