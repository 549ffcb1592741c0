"""Decoder: the sound of a reply chunk, read piece by piece from WAV, MP3, Ogg or FLAC.

WAV is read by our own reader. The other formats are read by libsndfile (the package soundfile),
which is loaded with the first chunk that needs it.
"""

import ctypes
import functools
import importlib
import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.wav import MAX_RATE, MIN_RATE, WavError, WavReader, float_to_pcm16, mix

_LOGGER = logging.getLogger(__name__)

TYPES: Final = {
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"), "wav"),
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/mpeg3"), "mp3"),
    **dict.fromkeys(("audio/ogg", "application/ogg", "audio/opus", "audio/vorbis"), "ogg"),
    **dict.fromkeys(("audio/flac", "audio/x-flac"), "flac"),
}
"""Format by content type."""

UNTYPED: Final = frozenset({"", "application/octet-stream"})
"""Content types that say nothing."""

SNIFFED: Final = 4
"""Bytes by which a format is recognised."""

MAX_SOUND_CHANNELS: Final = 8
"""Bounds the memory of a piece: a hostile file of a few bytes may declare many channels."""


class UnplayableError(ValueError):
    """A chunk that cannot be played, or not further. The text continues "it ..."."""


class SoundReader(Protocol):
    """The sound of one chunk, read from its beginning. For one thread."""

    format: str
    """Name of the format: wav, mp3, ogg or flac."""
    rate: int
    """Samples per second."""
    has_sound: bool
    """Whether there is at least one sample, as far as the header says."""

    def read(self, count: int) -> npt.NDArray[np.int16]:
        """Return the next ``count`` samples, mixed to one channel; fewer only at the end.

        Raises UnplayableError.
        """


class WavSound:
    """A WAV chunk. For one thread."""

    format = "wav"

    def __init__(self, audio: bytes, max_s: float) -> None:
        file = io.BytesIO(audio)
        try:
            self._reader = WavReader(file)
        except WavError as error:
            raise UnplayableError(str(error)) from error
        form = self._reader.format
        self.rate = form.rate
        there = len(audio) - file.tell()
        size = there if form.data_bytes is None else min(there, form.data_bytes)
        if size > int(max_s * form.rate) * form.frame_bytes:
            raise _too_long(max_s)
        self.has_sound = size >= form.frame_bytes

    def read(self, count: int) -> npt.NDArray[np.int16]:
        """Return the next ``count`` samples, mixed to one channel; fewer only at the end."""
        return self._reader.read(count)


class SndfileSound:
    """A chunk that libsndfile decodes: MP3, Ogg (Vorbis, Opus) or FLAC. For one thread.

    Refuses more than ``max_s`` at once if the header tells the length, else when it is reached.
    """

    def __init__(self, form: str, audio: bytes, max_s: float) -> None:
        self.format = form
        soundfile = _soundfile()
        self._failure = (soundfile.SoundFileError, OSError, RuntimeError, ValueError, OverflowError)
        try:
            with _memory_file(audio) as path, _silenced():
                self._file: Any = soundfile.SoundFile(path)
            self._file.seekable = _no  # else it seeks after each read, which breaks MP3 frames
            self.rate = int(self._file.samplerate)
            channels, samples = int(self._file.channels), int(self._file.frames)
        except self._failure as error:
            raise UnplayableError(f"cannot be decoded as {form}: {_text(error)}") from error
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise UnplayableError(
                f"has {self.rate} samples per second, expected {MIN_RATE} to {MAX_RATE}"
            )
        if not 1 <= channels <= MAX_SOUND_CHANNELS:
            raise UnplayableError(f"has {channels} channels, expected 1 to {MAX_SOUND_CHANNELS}")
        self._max_s = max_s
        self._left = int(max_s * self.rate)
        if self._left < samples < UNKNOWN_LENGTH:
            raise _too_long(max_s)
        self.has_sound = samples > 0

    def read(self, count: int) -> npt.NDArray[np.int16]:
        """Return the next ``count`` samples, mixed to one channel; fewer only at the end."""
        try:
            with _silenced():
                values = self._file.read(min(count, self._left + 1), "float32", always_2d=True)
        except self._failure as error:
            raise UnplayableError(f"breaks off: {_text(error)}") from error
        self._left -= len(values)
        if self._left < 0:
            raise _too_long(self._max_s)
        return mix(float_to_pcm16(values * 2**15))


UNKNOWN_LENGTH: Final = 2**62
"""A number of samples from here on means that the header does not tell it."""


@contextmanager
def _memory_file(audio: bytes) -> Iterator[str]:
    """Return the path of a file in memory, which need be there only until it is opened.

    A Python file would need callbacks from C, which a service may not have: they are written to
    memory that is executed (MemoryDenyWriteExecute).
    """
    with open(os.memfd_create("reply"), "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(audio)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


@contextmanager
def _silenced() -> Iterator[None]:
    """Discard what C code prints to ``stderr``: libmpg123 does it for every broken frame.

    Only the variable of the C library changes. Python writes to the descriptor, in every thread.
    """
    stderr = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    before, null = stderr.value, _null_file()
    stderr.value = null or before
    try:
        yield
    finally:
        stderr.value = before


@functools.cache
def _null_file() -> int | None:
    """Return a FILE of C that discards everything; None without a free descriptor."""
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    opened: int | None = library.fopen(os.devnull.encode(), b"w")
    return opened


def _no() -> bool:
    return False


class Decoder:
    """Opens chunks, and warns once when the content type is wrong. For the speaker thread."""

    def __init__(self) -> None:
        self._has_warned = False

    def open(self, content_type: str, audio: bytes, max_s: float) -> SoundReader:
        """Return the sound of a chunk of at most ``max_s``, or raise UnplayableError.

        The first bytes decide about the format, not the content type.
        """
        kind = content_type.partition(";")[0].strip().lower()
        form = sniffed(audio)
        if form is None:
            head = audio[:SNIFFED]
            known = ", ".join(dict.fromkeys(TYPES.values()))
            raise UnplayableError(f"is {kind[:40]!r} and starts with {head!r}, expected {known}")
        if kind not in UNTYPED and TYPES.get(kind) != form:
            level = logging.DEBUG if self._has_warned else logging.WARNING
            self._has_warned = True
            _LOGGER.log(
                level, "a chunk declared as %r is %s, and is played as that", kind[:40], form
            )
        return WavSound(audio, max_s) if form == "wav" else SndfileSound(form, audio, max_s)


def sniffed(audio: bytes) -> str | None:
    """Return the format that the first bytes show: wav, mp3, ogg or flac; None if none of them."""
    match audio[:SNIFFED]:
        case b"RIFF" | b"RF64":
            return "wav"
        case b"OggS":
            return "ogg"
        case b"fLaC":
            return "flac"
    return "mp3" if audio[:3] == b"ID3" or _is_mp3_frame(audio[:SNIFFED]) else None


def _is_mp3_frame(head: bytes) -> bool:
    """Whether these are the header of an MPEG frame of layer III (ISO 11172-3, 2.4.1.3)."""
    if len(head) < SNIFFED or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:  # noqa: PLR2004 - the sync word
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, rate = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and 0 < bit_rate < 15 and rate != 3  # noqa: PLR2004 - reserved


def _soundfile() -> Any:  # noqa: ANN401 - it has no types
    try:
        return importlib.import_module("soundfile")
    except (ImportError, OSError) as error:
        raise UnplayableError("is not WAV, and libsndfile cannot be loaded") from error


def _text(error: Exception) -> str:
    """Return the error text of libsndfile, without the object in it."""
    return str(error).rpartition(": ")[2][:100]


def _too_long(max_s: float) -> UnplayableError:
    return UnplayableError(f"lasts longer than the {max_s:g} s that are allowed")
