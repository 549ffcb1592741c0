"""WavFile: a sound file that is heard as if somebody played it into the room."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.block import Block
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import WavError
from jarvis_ear.audio.wav_reader import WavReader
from jarvis_ear.devices.end_of_sound import EndOfSound
from jarvis_ear.errors import InputError
from jarvis_ear.units import SAMPLE_RATE, Samples, seconds

BLOCK_MS: Final = 40
"""What a microphone's reader hands over too, so that a file tests the same path."""


class WavFile:
    """Plays a WAV file of any rate and width as mono PCM16. Owned by the capture thread.

    In real time, unless ``fast``: each block is handed over when its last sample would have been
    spoken, counted from the first one, so that a slow reader makes no drift.
    """

    live = False
    silence = ""

    def __init__(
        self,
        path: Path,
        *,
        fast: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._fast = fast
        self._monotonic = monotonic
        self._sleep = sleep
        self._file: BinaryIO | None = None
        self._reader: WavReader | None = None
        self._resampler = Resampler(SAMPLE_RATE, SAMPLE_RATE)
        self._position = Samples(0)
        self._began = 0.0

    @property
    def name(self) -> str:
        """The file, as it was named."""
        return str(self._path)

    def open(self) -> None:
        """Open the file and read its header, or raise InputError."""
        try:
            self._file = self._path.open("rb")
            self._reader = WavReader(self._file)
        except OSError as error:
            raise self._bad(f"cannot be read ({error.strerror}), expected a WAV file") from error
        except WavError as error:
            raise self._bad(f"is not a WAV file we can hear: it {error}") from error
        self._check_length(self._file, self._reader)
        self._resampler = Resampler(self._reader.format.rate, SAMPLE_RATE)
        self._began = self._monotonic()

    def read(self) -> Block | None:
        """Return the next 40 ms when they are due, or None if they only fill the resampler."""
        if self._reader is None:
            raise EndOfSound
        pcm = self._read(self._reader)
        if len(pcm) == 0:
            return None
        block = Block(self._position, pcm.astype("<i2").tobytes())
        self._position = block.end
        if not self._fast:
            self._wait_until(self._began + seconds(block.end))
        return block

    def close(self) -> None:
        """Close the file."""
        self._reader = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, reader: WavReader) -> npt.NDArray[np.int16]:
        try:
            raw = reader.read(max(1, reader.format.rate * BLOCK_MS // 1000))
        except OSError as error:
            raise self._bad(f"cannot be read any further ({error.strerror})") from error
        if len(raw):
            return self._resampler.push(raw)
        self._check_end(reader)
        self._reader = None
        return self._resampler.finish()

    def _wait_until(self, due: float) -> None:
        early = due - self._monotonic()
        if early > 0:
            self._sleep(early)

    def _check_length(self, file: BinaryIO, reader: WavReader) -> None:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return  # a pipe tells only at its end
        there = status.st_size - file.tell()
        promised = reader.format.data_bytes
        if there < reader.format.frame_bytes:
            raise self._bad("holds no sound: it ends where its sound should begin")
        if promised is not None and there < promised:
            raise self._bad(f"is cut off: its header promises {promised} bytes, it holds {there}")

    def _check_end(self, reader: WavReader) -> None:
        if reader.missing_bytes:
            raise self._bad(f"is cut off: {reader.missing_bytes} of the promised bytes are missing")
        if reader.read_bytes == 0:
            raise self._bad("holds no sound: it ends where its sound should begin")

    def _bad(self, what: str) -> InputError:
        return InputError(f"{self._path} {what}")
