"""Sound as a WAV file in memory: ours written exactly, foreign ones read tolerantly."""

import io
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.wav_format import WavError, read_format
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE

__all__ = ["HEADER_BYTES", "Sound", "WavError", "decode_wav", "pcm_to_wav"]

HEADER_BYTES: Final = 44
"""RIFF + fmt of 16 bytes + data header: the form every decoder in the world reads."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A decoded recording of any rate and number of channels."""

    rate: int
    """Samples per second and channel."""
    channels: int
    """How many microphones or ears it was made for."""
    pcm: npt.NDArray[np.int16]
    """Its samples, shape (samples, channels)."""

    def mono(self) -> npt.NDArray[np.int16]:
        """One channel: the mean of all."""
        return mix(self.pcm)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / self.rate


def mix(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Mean of the channels of ``pcm``, shape (samples, channels), rounded to the nearest sample."""
    if pcm.shape[1] == 1:
        return pcm[:, 0]
    mean: npt.NDArray[np.float64] = pcm.mean(axis=1)
    return np.rint(mean).astype(np.int16)


def pcm_to_wav(pcm_bytes: bytes, rate: int = SAMPLE_RATE) -> bytes:
    """Put mono PCM16 into a WAV file: 44 bytes of header with true sizes, then the sound."""
    if len(pcm_bytes) % SAMPLE_BYTES:
        raise WavError(f"{len(pcm_bytes)} bytes of sound; PCM16 needs an even count")
    return (
        struct.pack("<4sI4s", b"RIFF", HEADER_BYTES - 8 + len(pcm_bytes), b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * SAMPLE_BYTES, SAMPLE_BYTES, 16)
        + struct.pack("<4sI", b"data", len(pcm_bytes))
        + pcm_bytes
    )


def decode_wav(data: bytes, *, max_seconds: float) -> Sound:
    """Decode a foreign WAV file of at most ``max_seconds``, or raise WavError and nothing else.

    Of a file that promises more than it holds, what is there is taken.
    """
    file = io.BytesIO(data)
    form = read_format(file)
    allowed = int(max_seconds * form.rate) * form.frame_bytes
    sound = file.read(min(len(data) if form.data_bytes is None else form.data_bytes, allowed + 1))
    if len(sound) > allowed:
        raise WavError(f"lasts longer than the {max_seconds:g} s that are allowed")
    return Sound(form.rate, form.channels, form.decode(sound))
