"""Sources of sound: microphone, sound file or standard input."""

import logging
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np
import numpy.typing as npt

from jarvis_ear import config
from jarvis_ear.audio.frames import Block
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import WavError, WavReader
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.selection import busy, find, look_up
from jarvis_ear.devices.sound_library import Device, Quiet, SoundLibrary
from jarvis_ear.errors import DeviceError, InputError
from jarvis_ear.paths import kind_of
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE, Samples, samples, seconds

_LOGGER = logging.getLogger(__name__)


class EndOfSound(Exception):
    """The source has no more sound."""


BLOCK_MS: Final = 40
"""Length of one block; the same as for a microphone, so that a file tests the same path."""


NO_SOUND: Final = "holds no sound: it ends where its sound should begin"


class Patient:
    """The parts of a ``Source`` whose sound waits for its reader, and so is never kept back."""

    live = False
    silence = ""

    def hold_quiet(self, quiet: Quiet) -> None:
        """Do nothing: nothing is kept back."""

    def keep_live(self, reason: str, *, wanted: bool) -> None:
        """Do nothing: sound is handed over as it is read."""

    def interrupt(self) -> None:
        """Do nothing: no read waits longer than 0.1 s."""


class WavFile(Patient):
    """Reads a WAV file of any rate and width as mono PCM16. Owned by the capture thread.

    In real time, unless ``fast``: each block is returned at the time of its last sample, counted
    from the first one, so that a slow reader causes no drift.
    """

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
        """The configured path."""
        return str(self._path)

    def open(self) -> None:
        """Open the file and read its header, or raise InputError."""
        try:
            self._file = self._path.open("rb")
            self._reader = WavReader(self._file)
        except OSError as error:
            raise self._bad(f"cannot be read ({error.strerror}), expected a WAV file") from error
        except WavError as error:
            raise self._bad(f"is not a WAV file that can be read: it {error}") from error
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
        early_s = self._began + seconds(block.end) - self._monotonic()
        if not self._fast and early_s > 0:
            self._sleep(early_s)
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

    def _check_length(self, file: BinaryIO, reader: WavReader) -> None:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return  # the length of a pipe is known only at its end
        held = status.st_size - file.tell()
        announced = reader.format.data_bytes
        if held < reader.format.frame_bytes:
            raise self._bad(NO_SOUND)
        if announced is not None and held < announced:
            raise self._bad(f"is cut off: its header says {announced} bytes, it holds {held}")

    def _check_end(self, reader: WavReader) -> None:
        if reader.missing_bytes:
            raise self._bad(f"is cut off: {reader.missing_bytes} bytes of sound are missing")
        if reader.read_bytes == 0:
            raise self._bad(NO_SOUND)

    def _bad(self, what: str) -> InputError:
        return InputError(f"{self._path} {what}")


READ_BYTES: Final = samples(80) * SAMPLE_BYTES
"""Maximum length of one read: one step of the wake model, however fast the writer is."""

WAIT_S: Final = 0.1
"""Maximum seconds of one read, and so until a stop is noticed."""

EXPECTED: Final = "expected raw PCM16, 16 kHz, one channel"
"""Format of standard input for error texts, because raw sound has no header."""


class Stdin(Patient):
    """Reads raw PCM16, 16 kHz, mono from standard input. Owned by the capture thread.

    Reads as fast as data arrives; a faster writer blocks on its pipe. An odd byte at the end is
    dropped.
    """

    name = "standard input"

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor
        self._odd = b""
        self._position = Samples(0)

    def open(self) -> None:
        """Check that standard input is open and not a terminal, or raise InputError."""
        if self._descriptor is None:
            if sys.stdin is None:
                raise InputError(f"standard input is closed, {EXPECTED}")
            self._descriptor = sys.stdin.fileno()
        if os.isatty(self._descriptor):
            raise InputError(f"standard input is a terminal, {EXPECTED}")

    def read(self) -> Block | None:
        """Return the available sound, or None if there is none."""
        data = self._odd + self._read()
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._odd = data[whole:]
        if whole == 0:
            return None
        if self._position == 0 and data.startswith(b"RIFF"):
            raise InputError(f"standard input starts like a WAV file, {EXPECTED}; name the file")
        block = Block(self._position, data[:whole])
        self._position = block.end
        return block

    def close(self) -> None:
        """Do nothing: standard input stays open."""

    def _read(self) -> bytes:
        if self._descriptor is None:
            raise EndOfSound
        readable, _, _ = select.select([self._descriptor], [], [], WAIT_S)
        if not readable:
            return b""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except OSError as error:
            raise InputError(f"standard input cannot be read: {error.strerror}") from error
        if data:
            return data
        if self._position == 0:
            raise InputError(f"standard input holds no sound, {EXPECTED}")
        raise EndOfSound


class Source(Protocol):
    """Sound that is read in blocks. Owned by the capture thread from ``open`` to ``close``."""

    @property
    def live(self) -> bool:
        """True: unread sound is lost. False: it waits for the reader."""

    @property
    def name(self) -> str:
        """Name for log lines."""

    @property
    def silence(self) -> str:
        """Why the source delivers no sound of a room; empty if no reason is known."""

    def open(self) -> None:
        """Open the source, or raise MicrophoneUnavailable (retry later) or InputError (give up)."""

    def read(self) -> Block | None:
        """Return the next block, or None if none arrives within about 100 ms.

        A microphone may keep quiet sound back for seconds. Raises EndOfSound at the end,
        MicrophoneUnavailable or InputError on failure.
        """

    def hold_quiet(self, quiet: Quiet) -> None:
        """Set how quiet sound is kept back while no one needs it live. Any thread."""

    def keep_live(self, reason: str, *, wanted: bool) -> None:
        """Request, or no longer request, that sound is handed over as it arrives. Any thread."""

    def interrupt(self) -> None:
        """Let a ``read`` that waits for sound return at once. Any thread."""

    def close(self) -> None:
        """Release what ``open`` acquired, also after a failure. Idempotent."""


def make_source(options: config.MicrophoneOptions) -> Source:
    """Return the configured source, not yet open."""
    if options.input == "-":
        return Stdin()
    if options.input:
        return WavFile(Path(options.input), fast=options.fast)
    if options.fallback and (missing := why_unavailable(options.device)):
        _LOGGER.info("%s; hearing %s instead", missing, options.fallback)
        return WavFile(Path(options.fallback), fast=options.fast)
    return Microphone(options)


def prepare_source(options: config.MicrophoneOptions) -> None:
    """Start what a microphone needs, while the models are loaded. Does not wait."""
    if not options.input:
        portaudio_process.for_input().start()


def check_source(options: config.MicrophoneOptions, *, waits: bool) -> None:
    """Check for a configuration mistake before the start; raise DeviceError or InputError.

    With ``waits``, an unknown microphone is not a mistake; nor is it while the sound system is not
    available or another program uses the microphone, which may change.
    """
    if options.input and kind_of(Path(options.input)) != stat.S_IFIFO:
        with closing(make_source(options)) as source:
            source.open()
    elif options.device and not waits:
        mistake = mistake_in(options.device)
        if mistake:
            raise DeviceError(mistake)


def mistake_in(
    wanted: str, library: SoundLibrary | None = None, cards: SoundCards | None = None
) -> str:
    """Return an error text if no available microphone has this name, else an empty string.

    Empty as well if there are no microphones, if another program uses the one that is meant, or if
    the sound system does not answer.
    """
    library, cards = library or portaudio_process.for_input(), cards or SoundCards()
    devices: tuple[Device, ...] = ()
    try:
        devices, default = library.devices(), library.default("input")
        if any(device.inputs for device in devices) and not busy(wanted, cards):
            find(devices, wanted, "input", default, cards)
    except DeviceError as error:
        return str(error) if devices else ""  # without devices, the sound system did not answer
    return ""


def why_unavailable(
    wanted: str, library: SoundLibrary | None = None, cards: SoundCards | None = None
) -> str:
    """Return why there is no microphone of this name (or index; empty: any), or an empty string."""
    library, cards = library or portaudio_process.for_input(), cards or SoundCards()
    try:
        look_up(library, wanted, "input", cards)
    except DeviceError as error:
        return "; ".join(filter(None, [str(error), busy(wanted, cards)]))
    return ""
