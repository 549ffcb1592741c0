"""Status line: the current state of the ear, in the last line of a terminal."""

import shutil
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO

REDRAW_S: Final = 0.09
"""Minimum seconds between two redraws; just below the 0.1 s between two calls of ``show``."""

QUIETEST: Final = -60.0
"""Level at the left end of the bar, in dBFS: a quiet room."""

BAR: Final = 24
"""Width of the bar in characters of 2.5 dB each."""

_CLEAR: Final = "\r\x1b[K"


class StatusLine:
    """Redraws the line in place. One thread calls ``show``, any ``write``, the owner ``close``.

    All other output to the stream has to use ``write``, which moves the line below it: a log
    handler uses the status line as its stream. A line that is not ``enabled`` is never drawn.
    """

    def __init__(
        self,
        stream: TextIO,
        width: Callable[[], int] = lambda: shutil.get_terminal_size().columns,
        *,
        enabled: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._width = width
        self._now = now
        self._lock = threading.Lock()  # protects the cursor and everything below
        self._line = ""
        self._drawn_at = float("-inf")
        self._is_drawn = enabled
        self.enabled = enabled
        """Whether the line is drawn at all."""

    def show(self, state: str, level_dbfs: float, score: float) -> None:
        """Draw the newest values, unless the last redraw is less than ``REDRAW_S`` ago."""
        with self._lock:
            now = self._now()
            if not self._is_drawn or now - self._drawn_at < REDRAW_S:
                return
            self._drawn_at = now
            line = draw(state, level_dbfs, score)[: max(self._width() - 1, 0)]
            if line != self._line:
                self._line = line
                self._put(_CLEAR + line)

    def write(self, text: str) -> None:
        """Write complete lines above the status line; called by a ``logging.StreamHandler``."""
        with self._lock:
            self._put(_CLEAR + text + self._line if self._line else text)

    def flush(self) -> None:
        """Do nothing, because every write is flushed."""

    def close(self) -> None:
        """Remove the line, and draw no other."""
        with self._lock:
            if self._line:
                self._put(_CLEAR)
            self._line = ""
            self._is_drawn = False

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def draw(state: str, level_dbfs: float, score: float) -> str:
    """Format the line."""
    full = round(min(max(1 - level_dbfs / QUIETEST, 0.0), 1.0) * BAR)
    bar = "#" * full + "." * (BAR - full)
    return f"{state:<9} [{bar}] {level_dbfs:4.0f} dBFS  wake {score:4.2f}"
