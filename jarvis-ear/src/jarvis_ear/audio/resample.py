"""Resampler: convert sound to another sample rate.

libsoxr does the arithmetic. It is allowed on this floor because it uses no clock, no threads and no
files. Its input and output are floats, rounded here: its own rounding to PCM16 adds dither that
depends on how the sound is cut into blocks. With floats, every cut gives the same samples (verified
by tests).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from jarvis_ear.audio.wav import float_to_pcm16

QUALITY: Final = "HQ"
"""Stop band below the 16th bit; a second of 48 kHz costs 0.5 ms."""

_PIECE_SAMPLES: Final = 1 << 16
"""Samples per step of a one-shot conversion, which avoids a copy of the whole as floats."""


class Resampler:
    """Converts one stream of mono PCM16 and keeps its state between blocks. For one thread."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self.rates = (rate_in, rate_out)
        """Samples per second before and after."""
        self._same = rate_in == rate_out
        self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality=QUALITY)

    def push(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Add the next samples, and return the output that is final so far."""
        if self._same:
            return pcm
        return float_to_pcm16(self._stream.resample_chunk(pcm.astype(np.float32)))

    def finish(self) -> npt.NDArray[np.int16]:
        """Return the remaining output at the end of the stream. Do not push afterwards."""
        if self._same:
            return np.empty(0, np.int16)
        rest = self._stream.resample_chunk(np.empty(0, np.float32), last=True)
        return float_to_pcm16(rest)


def resample(pcm: npt.NDArray[np.int16], rate_in: int, rate_out: int) -> npt.NDArray[np.int16]:
    """Convert a whole recording at once."""
    resampler = Resampler(rate_in, rate_out)
    pieces = [
        resampler.push(pcm[at : at + _PIECE_SAMPLES]) for at in range(0, len(pcm), _PIECE_SAMPLES)
    ]
    return np.concatenate([*pieces, resampler.finish()])
