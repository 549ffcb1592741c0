"""The live line: what the ear is doing right now, in the last line of a terminal."""

import shutil
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO, TypeAlias

REDRAW_S: Final = 0.09
"""Just under a tenth of a second, the pace of whoever shows something: about 10 times a second."""

QUIETEST: Final = -60.0
"""dBFS at the left end of the bar: a quiet room."""

BAR: Final = 24
"""Characters of the bar: 2.5 dB each."""

_CLEAR: Final = "\r\x1b[K"


class Live:
    """Draws the line over itself. ``show`` by one thread, ``write`` by any, ``close`` by its owner.

    Whoever writes to the same stream does it through ``write``, so that the line gives way and
    comes back below: a log handler takes the live line as its stream.
    """

    def __init__(
        self,
        stream: TextIO,
        width: Callable[[], int] = lambda: shutil.get_terminal_size().columns,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._width = width
        self._now = now
        self._lock = threading.Lock()  # protects the cursor and everything below
        self._line = ""
        self._drawn_at = float("-inf")
        self._closed = False

    def show(self, state: str, level_dbfs: float, score: float) -> None:
        """Draw the newest values, unless the line is less than a tenth of a second old."""
        with self._lock:
            now = self._now()
            if self._closed or now - self._drawn_at < REDRAW_S:
                return
            self._drawn_at = now
            line = draw(state, level_dbfs, score)[: max(self._width() - 1, 0)]
            if line != self._line:
                self._line = line
                self._put(_CLEAR + line)

    def write(self, text: str) -> None:
        """Write whole lines above the live line: what a ``logging.StreamHandler`` asks for."""
        with self._lock:
            self._put(_CLEAR + text + self._line if self._line else text)

    def flush(self) -> None:
        """Do nothing: every write is flushed."""

    def close(self) -> None:
        """Remove the line for good."""
        with self._lock:
            if self._line:
                self._put(_CLEAR)
            self._line = ""
            self._closed = True

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class NoLive:
    """Stands where nobody watches. Any thread may use it."""

    def show(self, state: str, level_dbfs: float, score: float) -> None:
        """Draw nothing."""

    def close(self) -> None:
        """There is nothing to remove."""


AnyLive: TypeAlias = Live | NoLive


def draw(state: str, level_dbfs: float, score: float) -> str:
    """Compose the line."""
    full = round(min(max(1 - level_dbfs / QUIETEST, 0.0), 1.0) * BAR)
    bar = "#" * full + "." * (BAR - full)
    return f"{state:<9} [{bar}] {level_dbfs:4.0f} dBFS  wake {score:4.2f}"
