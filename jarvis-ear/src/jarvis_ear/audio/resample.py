"""Resampler: another sample rate for the same sound.

libsoxr does the arithmetic. It is allowed on this floor because it is nothing else: no clock, no
threads, no files. It is fed floats and its answer is rounded here, because its own rounding to
PCM16 adds dither, and dither depends on how the sound was cut into blocks. With floats the answer
is the same to the sample for every cut (the tests hold it to that).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from jarvis_ear.audio.wav import float_to_pcm16

QUALITY: Final = "HQ"
"""Stop band below the 16th bit; a second of 48 kHz costs 0.5 ms."""

_PIECE_SAMPLES: Final = 1 << 16
"""One-shot conversion goes in pieces, so that it needs no second copy of the whole as floats."""


class Resampler:
    """Converts one stream of mono PCM16, keeping its state from block to block. For one thread."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._same = rate_in == rate_out
        self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality=QUALITY)

    def push(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Take the next samples, and return what can already be said about the output."""
        if self._same:
            return pcm
        return float_to_pcm16(self._stream.resample_chunk(pcm.astype(np.float32)))

    def finish(self) -> npt.NDArray[np.int16]:
        """Return the rest, at the end of the stream. Nothing may be pushed afterwards."""
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
