"""WAV: read, decode and write sound files."""

import io
import struct
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE

MIN_RATE: Final = 1_000
"""Lowest sample rate: below it, a few bytes would count as minutes of sound."""

MAX_RATE: Final = 384_000
"""Highest sample rate: that of the fastest converters on the market."""

MAX_CHANNELS: Final = 32
"""More than any room microphone has; bounds the cost of one sample."""

MAX_CHUNKS: Final = 64
"""Real files have a handful of extra chunks; a million empty ones would be a denial of service."""

MAX_FORMAT_BYTES: Final = 4096
"""Bound on the fmt chunk, which takes 16 to 40 bytes."""

ENDLESS: Final = 0x7FFF_F000
"""Sizes from here on mean "unknown": sox, ffmpeg and espeak write such sizes to a pipe."""

_PCM: Final = 0x0001
_FLOAT: Final = 0x0003
_EXTENSIBLE: Final = 0xFFFE
_GUID_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")  # KSDATAFORMAT_SUBTYPE_*


class WavError(ValueError):
    """The bytes are not a supported WAV file. The text says what was found."""


class Encoding(Enum):
    """Sample encoding: format tag and bits."""

    U8 = (_PCM, 8)
    S16 = (_PCM, 16)
    S24 = (_PCM, 24)
    S32 = (_PCM, 32)
    F32 = (_FLOAT, 32)
    F64 = (_FLOAT, 64)


@dataclass(frozen=True, slots=True)
class WavFormat:
    """Format of the samples, from the header of a WAV file."""

    rate: int
    """Samples per second and channel, 1 000 to 384 000."""
    channels: int
    """1 to 32."""
    encoding: Encoding
    """Encoding of each sample."""
    data_bytes: int | None
    """Bytes of sound according to the header; None if its writer did not know."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.encoding.value[1] // 8

    def decode(self, data: bytes) -> npt.NDArray[np.int16]:
        """Return PCM16 of shape (samples, channels); an incomplete sample at the end is dropped."""
        whole = data[: len(data) - len(data) % self.frame_bytes]
        return _pcm16(whole, self.encoding).reshape(-1, self.channels)


def read_format(file: BinaryIO) -> WavFormat:
    """Read the header of ``file`` up to the first byte of sound, or raise WavError."""
    riff = file.read(12)
    if len(riff) < len(b"RIFFsizeWAVE") or riff[:4] not in (b"RIFF", b"RF64"):
        raise WavError(f"starts with {riff[:4]!r}, expected a RIFF header")
    if riff[8:] != b"WAVE":
        raise WavError(f"is a RIFF file of type {riff[8:]!r}, expected WAVE")
    found: tuple[int, int, Encoding] | None = None
    for _ in range(MAX_CHUNKS):
        name, size = _chunk_header(file)
        if name == b"data" and found is None:
            raise WavError("has its sound before its format, expected a fmt chunk first")
        if name == b"data" and found is not None:
            return WavFormat(*found, data_bytes=size if 0 < size < ENDLESS else None)
        if name == b"fmt ":
            found = _parse_fmt(_read_fmt(file, size))
        else:
            _skip(file, size + size % 2)
    raise WavError(f"has no sound within its first {MAX_CHUNKS} chunks")


def _chunk_header(file: BinaryIO) -> tuple[bytes, int]:
    header = file.read(8)
    if len(header) < len(b"namesize"):
        raise WavError("ends before its sound begins, expected a data chunk")
    name, size = struct.unpack("<4sI", header)
    return name, size


def _skip(file: BinaryIO, count: int) -> None:
    if file.seekable():
        file.seek(count, 1)
        return
    while count > 0 and (got := file.read(min(count, 65_536))):
        count -= len(got)


def _read_fmt(file: BinaryIO, size: int) -> bytes:
    if size > MAX_FORMAT_BYTES:
        raise WavError(f"describes its format in {size} bytes, expected 16 to 40")
    fmt = file.read(size + size % 2)[:size]
    if len(fmt) < struct.calcsize("<HHIIHH"):
        raise WavError(f"describes its format in {len(fmt)} bytes, expected at least 16")
    return fmt


def _parse_fmt(fmt: bytes) -> tuple[int, int, Encoding]:
    tag, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE:
        tag = _sub_format(fmt)
    try:
        encoding = Encoding((tag, bits))
    except ValueError:
        raise WavError(
            f"has samples of format {tag:#06x} with {bits} bits, "
            "expected PCM of 8, 16, 24 or 32 or float of 32 or 64"
        ) from None
    if not 1 <= channels <= MAX_CHANNELS:
        raise WavError(f"has {channels} channels, expected 1 to {MAX_CHANNELS}")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise WavError(f"has {rate} samples per second, expected {MIN_RATE} to {MAX_RATE}")
    if align not in (0, channels * bits // 8):
        raise WavError(f"packs a sample into {align} bytes, expected {channels * bits // 8}")
    return rate, channels, encoding


def _sub_format(fmt: bytes) -> int:
    guid = fmt[24:40]
    if guid[2:] != _GUID_TAIL:
        raise WavError(f"has samples of the unknown sub-format {guid.hex() or 'none'}")
    return int.from_bytes(guid[:2], "little")


def _pcm16(data: bytes, encoding: Encoding) -> npt.NDArray[np.int16]:
    if encoding is Encoding.U8:
        return ((np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8).astype(np.int16)
    if encoding is Encoding.S16:
        return np.frombuffer(data, "<i2").astype(np.int16)
    if encoding is Encoding.S24:
        top_two = np.frombuffer(data, np.uint8).reshape(-1, 3)[:, 1:]
        return np.ascontiguousarray(top_two).view("<i2").reshape(-1).astype(np.int16)
    if encoding is Encoding.S32:
        return (np.frombuffer(data, "<i4") >> 16).astype(np.int16)
    values = np.frombuffer(data, "<f4" if encoding is Encoding.F32 else "<f8")
    with np.errstate(over="ignore", invalid="ignore"):  # both are handled
        return float_to_pcm16(values * 2**15)


def float_to_pcm16(values: npt.NDArray[np.floating]) -> npt.NDArray[np.int16]:
    """Round to the nearest sample; clip at full scale, and turn NaN into silence."""
    finite = np.nan_to_num(np.rint(values), nan=0.0, posinf=32767, neginf=-32768)
    clipped: npt.NDArray[np.floating] = np.clip(finite, -32768, 32767)
    return clipped.astype(np.int16)


HEADER_BYTES: Final = 44
"""RIFF, fmt of 16 bytes and data header: the form that every decoder reads."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A decoded recording of any rate and number of channels."""

    rate: int
    """Samples per second and channel."""
    channels: int
    """Number of channels."""
    pcm: npt.NDArray[np.int16]
    """Samples, shape (samples, channels)."""

    def mono(self) -> npt.NDArray[np.int16]:
        """Return one channel: the mean of all."""
        return mix(self.pcm)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.pcm) / self.rate


def mix(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Mean of the channels of ``pcm``, shape (samples, channels), rounded to the nearest sample."""
    if pcm.shape[1] == 1:
        return pcm[:, 0]
    mean: npt.NDArray[np.float64] = pcm.mean(axis=1)
    return np.rint(mean).astype(np.int16)


def pcm_to_wav(pcm_bytes: bytes, rate: int = SAMPLE_RATE) -> bytes:
    """Wrap mono PCM16 in a WAV file: 44 bytes of header with true sizes, then the sound."""
    if len(pcm_bytes) % SAMPLE_BYTES:
        raise WavError(f"{len(pcm_bytes)} bytes of sound; PCM16 needs an even count")
    return (
        struct.pack("<4sI4s", b"RIFF", HEADER_BYTES - 8 + len(pcm_bytes), b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * SAMPLE_BYTES, SAMPLE_BYTES, 16)
        + struct.pack("<4sI", b"data", len(pcm_bytes))
        + pcm_bytes
    )


def decode_wav(data: bytes, *, max_seconds: float) -> Sound:
    """Decode a WAV file of at most ``max_seconds``; the only error raised is WavError.

    If the header announces more sound than the file holds, the sound that is there is returned.
    """
    file = io.BytesIO(data)
    form = read_format(file)
    allowed = int(max_seconds * form.rate) * form.frame_bytes
    sound = file.read(min(len(data) if form.data_bytes is None else form.data_bytes, allowed + 1))
    if len(sound) > allowed:
        raise WavError(f"lasts longer than the {max_seconds:g} s that are allowed")
    return Sound(form.rate, form.channels, form.decode(sound))


class WavReader:
    """Reads mono PCM16 from a WAV file that the caller opens and closes. For one thread."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the header of ``file``, or raise WavError."""
        self._file = file
        self.format = read_format(file)
        self.read_bytes = 0
        """Bytes of sound read so far."""

    @property
    def missing_bytes(self) -> int:
        """Bytes that the header announces and that are not read yet; at the end, those missing."""
        return max(0, (self.format.data_bytes or 0) - self.read_bytes)

    def read(self, count: int) -> npt.NDArray[np.int16]:
        """Return the next ``count`` samples, mixed to one channel; fewer only at the end."""
        wanted = count * self.format.frame_bytes
        if self.format.data_bytes is not None:
            wanted = min(wanted, self.missing_bytes)
        data = self._file.read(wanted)
        self.read_bytes += len(data)
        return mix(self.format.decode(data))
