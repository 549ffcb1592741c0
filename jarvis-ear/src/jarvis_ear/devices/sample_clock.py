"""SampleClock: when a sample of the stream was captured, by a clock that no freeze can fool."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from jarvis_ear.units import SAMPLE_RATE, Samples, samples

WINDOW: Final = samples(3000)
"""Sound on each side of a sample that tells when it was captured. More than a pipe (2 s) or the
buffer of a sound card holds: what waited there was captured before it could be read."""

MAX_BLOCKS: Final = 4096
"""Blocks that are remembered: more than two minutes in pieces of 40 ms."""


def boot_clock() -> float:
    """Seconds since the machine's start; they go on while it sleeps, and nobody sets them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SampleClock:
    """Maps positions in the stream to seconds of CLOCK_BOOTTIME. Any thread may call it.

    One thread tells of each block as soon as it has it. A block can be read late, because the
    process was stopped, had no processor or the sound waited in a buffer, but never before it was
    captured. Sound comes at a constant rate, so the earliest of the neighbouring blocks tells best
    when a sample was captured.

    With a ``window`` of 0 each block counts for itself: for sound that does not come in real time.
    """

    def __init__(self, window: Samples = WINDOW, *, now: Callable[[], float] = boot_clock) -> None:
        self._window = window
        self._now = now
        self._lock = threading.Lock()  # protects _blocks
        self._blocks: deque[tuple[Samples, float]] = deque(maxlen=MAX_BLOCKS)

    def heard(self, end: Samples) -> None:
        """Note that the block before position ``end`` has come just now."""
        began = self._now() - end / SAMPLE_RATE
        with self._lock:
            self._blocks.append((end, began))

    def captured_at(self, position: Samples) -> float:
        """Return when the sample before ``position`` was captured, in seconds; at the latest now.

        Of sound that nobody told of it is now.
        """
        with self._lock:
            blocks = list(self._blocks)
        own = next((block for block in blocks if block[0] >= position), None)
        if own is None:
            return self._now()
        near = [began for end, began in blocks if abs(end - position) <= self._window]
        return min([own[1], *near]) + position / SAMPLE_RATE
