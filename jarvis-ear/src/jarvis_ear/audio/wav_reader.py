"""WavReader: the sound of a WAV file piece by piece, however large the file is."""

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.wav import mix
from jarvis_ear.audio.wav_format import read_format


class WavReader:
    """Reads mono PCM16 from a WAV file that somebody else opened and closes. For one thread."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the header of ``file``, or raise WavError."""
        self._file = file
        self.format = read_format(file)
        self.read_bytes = 0
        """How much sound has been read."""

    @property
    def missing_bytes(self) -> int:
        """How much of what the header promises has not been read: at the end, what is missing."""
        return max(0, (self.format.data_bytes or 0) - self.read_bytes)

    def read(self, count: int) -> npt.NDArray[np.int16]:
        """Return the next ``count`` samples of the mixed channels; fewer only at the end."""
        wanted = count * self.format.frame_bytes
        if self.format.data_bytes is not None:
            wanted = min(wanted, self.missing_bytes)
        data = self._file.read(wanted)
        self.read_bytes += len(data)
        return mix(self.format.decode(data))
