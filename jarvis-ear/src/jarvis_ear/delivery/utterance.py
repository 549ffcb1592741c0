"""Utterances for delivery: complete, in progress (drafts), and as records on file."""

import math
import re
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import Final

from jarvis_ear.audio.wav import HEADER_BYTES, pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES
from jarvis_ear.wires.messages import FromBackend, Pong, Processing, Transcript


@dataclass(frozen=True, slots=True)
class CapturedAudio:
    """One captured utterance. A value: any thread may have it."""

    pcm: bytes
    """PCM16 little-endian, 16 kHz, one channel."""
    turn_id: str
    """Id of its turn, unique."""
    spoken_at: float
    """When its last speech sample was captured, in seconds of CLOCK_BOOTTIME: its age counts from
    here."""


class Past(Enum):
    """History of an utterance before it came to the outbox."""

    NEW = "new"
    """No history: it cannot have run."""
    PERHAPS_RAN = "perhaps ran"
    """An earlier run of the ear committed it and did not get the result."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance, as the file that the backend gets."""

    turn_id: str
    wav: bytes
    """One complete WAV file."""
    raw_bytes: int
    """Bytes of PCM16 in it."""
    ended_at: float
    """When its last speech sample was captured, in seconds of the delivery's clock: its age counts
    from here."""
    past: Past = Past.NEW
    """Whether it may have run already."""

    @property
    def pcm(self) -> bytes:
        """Its sound, without the header of the file."""
        return self.wav[HEADER_BYTES:]


NAME: Final = re.compile(r"[0-9]{13}-[0-9a-f]{8}")
"""Milliseconds since boot, so that names sort by age, and eight characters of the turn.

No file name is built from external input.
"""

MAX_PCM_BYTES: Final = 4 * 1024 * 1024
"""More sound than one message to the backend can carry."""

_MAGIC: Final = b"JESP"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<4sHH64s36sdII")
"""Magic, version, two zero bytes, turn, boot, end of speech, bytes of sound, CRC-32."""

RECORD_HEADER_BYTES: Final = _HEADER.size

_OPEN: Final = 0xFFFF_FFFF
"""Length in the header of an utterance in progress."""

_PLAIN: Final = re.compile(r"[\x21-\x7e]{1,64}")
"""Valid turn id: one word that is safe in a log."""


class NotARecord(ValueError):
    """The bytes are not a record of an utterance."""


class Torn(ValueError):
    """The utterance is not whole: the ear was killed during it, or the file is damaged."""


@dataclass(frozen=True, slots=True)
class Header:
    """Header of a record."""

    turn_id: str
    boot_id: str
    """Id of the boot that its clock belongs to."""
    ended_at: float
    """End of the speech, in seconds of the delivery's clock; its beginning while it is open."""
    pcm_bytes: int | None
    """None while the person is still speaking."""
    crc: int


def name_of(turn_id: str, at: float) -> str:
    """Return the file name of a turn that began at ``at``."""
    letters = (
        turn_id if re.fullmatch(r"[0-9a-f]{8}", turn_id) else f"{zlib.crc32(turn_id.encode()):08x}"
    )
    return f"{min(max(0, int(at * 1000)), 10**13 - 1):013d}-{letters}"


def opened(turn_id: str, boot_id: str, began_at: float) -> bytes:
    """Return the header of an utterance in progress."""
    return _header(turn_id, boot_id, began_at, _OPEN, 0)


def closed(utterance: Utterance, boot_id: str) -> bytes:
    """Return the header of a complete utterance, which precedes its sound."""
    pcm = utterance.pcm
    plain = _header(utterance.turn_id, boot_id, utterance.ended_at, len(pcm), 0)
    return _header(utterance.turn_id, boot_id, utterance.ended_at, len(pcm), _crc(plain, pcm))


def can_be_kept(utterance: Utterance) -> bool:
    """Whether its turn id and size fit into a record."""
    return bool(_PLAIN.fullmatch(utterance.turn_id)) and len(utterance.wav) <= MAX_PCM_BYTES


def read_header(data: bytes) -> Header:
    """Read the header of a file, or raise ``NotARecord``."""
    if len(data) < RECORD_HEADER_BYTES:
        raise NotARecord("too short for a header")
    magic, version, _, turn, boot, ended_at, length, crc = _HEADER.unpack_from(data)
    turn_id, boot_id = _text(turn), _text(boot)
    if magic != _MAGIC or version != _VERSION or not _PLAIN.fullmatch(turn_id):
        raise NotARecord("not the header of an utterance")
    if not math.isfinite(ended_at):
        raise NotARecord("ended at no time at all")
    return Header(turn_id, boot_id, ended_at, None if length == _OPEN else length, crc)


def read(data: bytes, past: Past) -> Utterance:
    """Read a whole file, or raise ``NotARecord`` or ``Torn``."""
    header, pcm = read_header(data), data[RECORD_HEADER_BYTES:]
    if header.pcm_bytes is None:
        raise Torn("the sentence was not finished")
    if header.pcm_bytes != len(pcm) or len(pcm) % SAMPLE_BYTES:
        raise Torn("not as long as it says")
    if _crc(data[:RECORD_HEADER_BYTES], pcm) != header.crc:
        raise Torn("not what was written")
    return Utterance(header.turn_id, pcm_to_wav(pcm), len(pcm), header.ended_at, past)


def _header(turn_id: str, boot_id: str, at: float, length: int, crc: int) -> bytes:
    turn, boot = turn_id.encode("ascii"), boot_id.encode("ascii")[:36]
    return _HEADER.pack(_MAGIC, _VERSION, 0, turn, boot, at, length, crc)


def _crc(header: bytes, pcm: bytes) -> int:
    """Checksum everything except the checksum itself, at the end of the header."""
    return zlib.crc32(pcm, zlib.crc32(header[:-4]))


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")


MAX_HEARD: Final = 64
"""Messages about an incomplete utterance; one or two are usual."""


class Draft:
    """An utterance in progress that is uploaded before it is complete.

    Owned by the outbox; the network thread only. It cannot run: the commit is its end, which its
    turn sends. A backend that processes it anyway (it found an end of its own) has ``taken`` it.
    Bound: ``MAX_PCM_BYTES``; a longer one is uploaded when it is complete.
    """

    def __init__(self, turn_id: str) -> None:
        self.turn_id = turn_id
        self._pcm = bytearray()
        self._sent: int | None = None
        self.heard: list[FromBackend] = []
        """Messages of the backend about it on this link, at most 64; the rest is dropped."""
        self.taken = False
        """Whether a backend has begun to process it, on this link or an earlier one."""

    @property
    def on_link(self) -> bool:
        """Whether the current link has a part of it."""
        return self._sent is not None

    @property
    def sent_bytes(self) -> int:
        """How many of its bytes the current link has."""
        return self._sent or 0

    def add(self, offset: int, pcm: bytes) -> bool:
        """Append sound; return False if there is a gap before it, or it is too long."""
        if offset != len(self._pcm) or offset + len(pcm) > MAX_PCM_BYTES:
            return False
        self._pcm += pcm
        return True

    def news(self) -> tuple[int, bytes]:
        """Return offset and sound that the current link lacks, and count them as sent."""
        offset, self._sent = self.sent_bytes, len(self._pcm)
        return offset, bytes(self._pcm[offset:])

    def hear(self, message: FromBackend) -> None:
        """Keep a message of the backend about it, for its turn."""
        self.taken |= isinstance(message, Processing | Transcript)
        if len(self.heard) < MAX_HEARD and not isinstance(message, Pong):
            self.heard.append(message)

    def lose_link(self) -> None:
        """Start from the beginning on the next link: this one is lost."""
        self._sent = None
        self.heard.clear()

    def begins(self, pcm: bytes) -> bool:
        """Whether ``pcm`` begins with the part that the link has."""
        return pcm[: self.sent_bytes] == self._pcm[: self.sent_bytes]
