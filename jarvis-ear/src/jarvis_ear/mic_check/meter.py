"""Meter: one line that shows level and score while a microphone is checked."""

import math
from typing import Final, TextIO

from jarvis_ear.audio.level import SILENCE
from jarvis_ear.units import Dbfs

WIDTH: Final = 30
"""Characters of the bar."""

LOWEST: Final = Dbfs(-80.0)
"""Level at which the bar is empty."""

REDRAW_S: Final = 0.1
"""Seconds between two pictures in a terminal."""

PRINT_S: Final = 1.0
"""Seconds between two lines where the output is not a terminal."""


class Meter:
    """Draws the meter, in ASCII and without colour. For one thread.

    In a terminal one line is drawn again and again; elsewhere there is a line each second.
    """

    def __init__(self, out: TextIO, seconds: float) -> None:
        self._out = out
        self._seconds = seconds
        self._is_terminal = out.isatty()
        self._due_s = 0.0
        self._peak = SILENCE
        self._score = 0.0

    def show(self, at_s: float, rms: Dbfs, score: float) -> None:
        """Note a level and a score, ``at_s`` seconds after the beginning; draw if it is time."""
        self._peak = max(self._peak, rms)
        self._score = max(self._score, score)
        if at_s < self._due_s:
            return
        self._due_s = at_s + (REDRAW_S if self._is_terminal else PRINT_S)
        line = self.line(at_s, rms)
        self._out.write(f"\r{line}" if self._is_terminal else f"{line}\n")
        self._out.flush()
        if not self._is_terminal:
            self._peak, self._score = SILENCE, 0.0

    def line(self, at_s: float, rms: Dbfs) -> str:
        """Return the line, with the loudest level and the best score since the last one."""
        left_s = max(0, math.ceil(self._seconds - at_s))
        bar = "#" * _cells(rms)
        bar = f"{bar:<{WIDTH}}"
        if (mark := _cells(self._peak)) > len(bar.rstrip()):
            bar = f"{bar[: mark - 1]}|{bar[mark:]}"
        return f"[{bar}] {rms:4.0f} dBFS  score {self._score:.2f}  {left_s:2} s "

    def close(self) -> None:
        """End the line of a terminal."""
        if self._is_terminal:
            self._out.write("\n")
            self._out.flush()


def _cells(rms: Dbfs) -> int:
    return max(0, min(WIDTH, round((rms - LOWEST) / -LOWEST * WIDTH)))
