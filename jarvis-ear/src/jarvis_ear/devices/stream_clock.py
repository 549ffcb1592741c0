"""Stream clock: converts a card's frames to numbered 16 kHz mono blocks, with capture times."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.frames import Block
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import mix
from jarvis_ear.devices.sound_library import MIX
from jarvis_ear.units import SAMPLE_RATE, Samples, samples


def choose(data: bytes, count: int, choice: str) -> npt.NDArray[np.int16]:
    """Return one channel, or the mean of all, of interleaved PCM16 with ``count`` channels."""
    sound = np.frombuffer(data, "<i2").reshape(-1, count)
    if choice == MIX:
        return mix(sound)
    return sound[:, int(choice)]


class StreamClock:
    """Converts the rate and counts the position, across gaps and changes of the device.

    Owned by the reader of the device.
    """

    def __init__(self) -> None:
        self._rate = SAMPLE_RATE
        self._resampler = Resampler(SAMPLE_RATE, SAMPLE_RATE)
        self._base = Samples(0)  # start of the sound since the last gap
        self._taken = 0  # device samples since then
        self._position = Samples(0)  # end of the last block

    def begin(self, rate: int, away_s: float) -> None:
        """Continue with a device of ``rate``, after ``away_s`` seconds without a device."""
        self.skip(round(away_s * self._rate))
        self._rate = rate
        self._resampler = Resampler(rate, SAMPLE_RATE)

    def skip(self, lost: int) -> None:
        """Skip ``lost`` device samples, and discard what the resampler holds."""
        past = round((self._taken + lost) * SAMPLE_RATE / self._rate)
        self._base = self._position = Samples(self._base + past)
        self._taken = 0
        self._resampler = Resampler(self._rate, SAMPLE_RATE)

    def push(self, pcm: npt.NDArray[np.int16]) -> Block | None:
        """Return the block made from ``pcm``, or None if it only fills the resampler."""
        self._taken += len(pcm)
        out = self._resampler.push(pcm)
        if len(out) == 0:
            return None
        block = Block(self._position, out.astype("<i2", copy=False).tobytes())
        self._position = block.end
        return block


WINDOW: Final = samples(3000)
"""Sound on each side of a sample from which its capture time is derived. More than a pipe (2 s) or
a card's buffer holds: sound waits there after its capture."""

MAX_BLOCKS: Final = 4096
"""Maximum blocks kept: more than two minutes in pieces of 40 ms."""


def boot_clock() -> float:
    """Return seconds since boot, including suspend; the clock is never set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SampleClock:
    """Maps positions in the stream to seconds of CLOCK_BOOTTIME. Any thread may call it.

    One thread reports each block as soon as it is read. A block may be read late, because the
    process was stopped or had no processor, or the sound waited in a buffer, but never before its
    capture. Sound arrives at a constant rate, so the earliest of the neighbouring blocks gives the
    best estimate of the capture time.

    With a ``window`` of 0 each block is used alone, for sound that is not in real time.
    """

    def __init__(self, window: Samples = WINDOW, *, now: Callable[[], float] = boot_clock) -> None:
        self._window = window
        self._now = now
        self._lock = threading.Lock()  # protects _blocks
        self._blocks: deque[tuple[Samples, float]] = deque(maxlen=MAX_BLOCKS)

    def heard(self, end: Samples) -> None:
        """Note that the block before position ``end`` was read just now."""
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
