"""SpoolRecord: an utterance as a file that a killed ear leaves behind."""

import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.delivery.utterance import Past, Utterance
from jarvis_ear.units import SAMPLE_BYTES

NAME: Final = re.compile(r"[0-9]{13}-[0-9a-f]{8}")
"""Milliseconds since the machine's start, so that names sort by age, and eight letters of the turn.

No name of a file is ever made of anything that came from elsewhere.
"""

MAX_PCM_BYTES: Final = 4 * 1024 * 1024
"""More sound than one message to the backend can carry."""

_MAGIC: Final = b"JESP"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<4sHH64s36sdII")
"""Magic, version, two bytes of nothing, turn, boot, end of speech, bytes of sound, CRC-32."""

HEADER_BYTES: Final = _HEADER.size

_OPEN: Final = 0xFFFF_FFFF
"""The length of an utterance whose end nobody has heard yet."""

_PLAIN: Final = re.compile(r"[\x21-\x7e]{1,64}")
"""What a turn may be called: one word that cannot do any harm in a log."""


class NotARecord(ValueError):
    """These bytes are no utterance of ours."""


class Torn(ValueError):
    """The utterance is not whole: its ear was killed in mid-sentence, or the file is damaged."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a record says of itself."""

    turn_id: str
    boot_id: str
    """Which start of the machine it belongs to: its clock means nothing in another."""
    ended_at: float
    """End of the speech, in seconds of the delivery's clock; its beginning while it is open."""
    pcm_bytes: int | None
    """None while somebody is still speaking."""
    crc: int


def name_of(turn_id: str, at: float) -> str:
    """Return the file name of a turn that was begun at ``at``."""
    letters = (
        turn_id if re.fullmatch(r"[0-9a-f]{8}", turn_id) else f"{zlib.crc32(turn_id.encode()):08x}"
    )
    return f"{min(max(0, int(at * 1000)), 10**13 - 1):013d}-{letters}"


def opened(turn_id: str, boot_id: str, began_at: float) -> bytes:
    """Return the header of an utterance that has only begun."""
    return _header(turn_id, boot_id, began_at, _OPEN, 0)


def closed(utterance: Utterance, boot_id: str) -> bytes:
    """Return the header of a whole utterance: it belongs before its sound."""
    pcm = utterance.pcm
    plain = _header(utterance.turn_id, boot_id, utterance.ended_at, len(pcm), 0)
    return _header(utterance.turn_id, boot_id, utterance.ended_at, len(pcm), _crc(plain, pcm))


def can_be_kept(utterance: Utterance) -> bool:
    """Whether it has a name and a size that a record can have."""
    return bool(_PLAIN.fullmatch(utterance.turn_id)) and len(utterance.wav) <= MAX_PCM_BYTES


def read_header(data: bytes) -> Header:
    """Read the first bytes of a file, or raise ``NotARecord``."""
    if len(data) < HEADER_BYTES:
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
    header, pcm = read_header(data), data[HEADER_BYTES:]
    if header.pcm_bytes is None:
        raise Torn("the sentence was not finished")
    if header.pcm_bytes != len(pcm) or len(pcm) % SAMPLE_BYTES:
        raise Torn("not as long as it says")
    if _crc(data[:HEADER_BYTES], pcm) != header.crc:
        raise Torn("not what was written")
    return Utterance(header.turn_id, pcm_to_wav(pcm), len(pcm), header.ended_at, past)


def _header(turn_id: str, boot_id: str, at: float, length: int, crc: int) -> bytes:
    turn, boot = turn_id.encode("ascii"), boot_id.encode("ascii")[:36]
    return _HEADER.pack(_MAGIC, _VERSION, 0, turn, boot, at, length, crc)


def _crc(header: bytes, pcm: bytes) -> int:
    """Sum up everything but the sum itself, which stands at the end of the header."""
    return zlib.crc32(pcm, zlib.crc32(header[:-4]))


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")
