"""Sample clock: when each sample of the stream was captured."""

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Final

from jarvis_ear.units import SAMPLE_RATE, Samples, samples

WINDOW: Final = samples(3000)
"""Sound on each side of a sample from which its capture time is derived. More than a pipe (2 s) or
a card's buffer holds: sound waits there after its capture."""

MAX_BLOCKS: Final = 4096
"""Maximum blocks kept: more than a minute in pieces of 20 ms."""


def boot_clock() -> float:
    """Return seconds since boot, including suspend; the clock is never set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SampleClock:
    """Maps positions in the stream to seconds of CLOCK_BOOTTIME. Any thread may call it.

    ``captured`` and ``processed`` are called with the end of each block; only one of them counts.
    In real time, it is ``captured``, as soon as a block is read. A block may be read late, because
    the process was stopped or had no processor, or the sound waited in a buffer, but never before
    its capture. Sound arrives at a constant rate, so the earliest of the neighbouring blocks gives
    the best estimate of the capture time.

    A file that is read faster counts as spoken when the ear processes it: each block is used
    alone.
    """

    def __init__(self, *, in_real_time: bool = True, now: Callable[[], float] = boot_clock) -> None:
        self._in_real_time = in_real_time
        self._window = WINDOW if in_real_time else Samples(0)
        self._now = now
        self._lock = threading.Lock()  # protects _blocks
        self._blocks: deque[tuple[Samples, float]] = deque(maxlen=MAX_BLOCKS)

    def captured(self, end: Samples) -> None:
        """Note that the block before position ``end`` was read just now."""
        if self._in_real_time:
            self._note(end)

    def processed(self, end: Samples) -> None:
        """Note that the ear gets the block before position ``end`` just now."""
        if not self._in_real_time:
            self._note(end)

    def _note(self, end: Samples) -> None:
        began = self._now() - end / SAMPLE_RATE
        with self._lock:
            self._blocks.append((end, began))

    def captured_at(self, position: Samples) -> float:
        """Return the capture time of the sample before ``position``, in seconds; at the latest now.

        For sound that was not reported, return the current time.
        """
        with self._lock:
            blocks = list(self._blocks)
        own = next((block for block in blocks if block[0] >= position), None)
        if own is None:
            return self._now()
        near = [began for end, began in blocks if abs(end - position) <= self._window]
        return min([own[1], *near]) + position / SAMPLE_RATE

    def position_at(self, at: float) -> Samples | None:
        """Return the position of the sample that is captured at ``at``, also in the near future.

        None: nothing was captured yet.
        """
        with self._lock:
            newest = self._blocks[-1][0] if self._blocks else Samples(0)
            newer = takewhile(
                lambda block: newest - block[0] <= self._window, reversed(self._blocks)
            )
            near = [began for _, began in newer]
        return Samples(round((at - min(near)) * SAMPLE_RATE)) if near else None
