"""Stamper: samples of a device in, blocks at 16 kHz that stand where they belong out."""

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.block import Block
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.units import SAMPLE_RATE, Samples


class Stamper:
    """Converts the rate and counts the position, over gaps and over changes of the device.

    Owned by whoever reads the device.
    """

    def __init__(self) -> None:
        self._rate = SAMPLE_RATE
        self._resampler = Resampler(SAMPLE_RATE, SAMPLE_RATE)
        self._base = Samples(0)  # where the sound since the last gap began
        self._taken = 0  # samples of the device since then
        self._position = Samples(0)  # end of the last block

    def begin(self, rate: int, away_s: float) -> None:
        """Continue with a device of ``rate``, after ``away_s`` seconds without any."""
        self.skip(round(away_s * self._rate))
        self._rate = rate
        self._resampler = Resampler(rate, SAMPLE_RATE)

    def skip(self, lost: int) -> None:
        """Leave out ``lost`` samples of the device, and what they tear from the resampler."""
        past = round((self._taken + lost) * SAMPLE_RATE / self._rate)
        self._base = self._position = Samples(self._base + past)
        self._taken = 0
        self._resampler = Resampler(self._rate, SAMPLE_RATE)

    def push(self, pcm: npt.NDArray[np.int16]) -> Block | None:
        """Return the block that ``pcm`` makes, or None if it only fills the resampler."""
        self._taken += len(pcm)
        out = self._resampler.push(pcm)
        if len(out) == 0:
            return None
        block = Block(self._position, out.astype("<i2", copy=False).tobytes())
        self._position = block.end
        return block
