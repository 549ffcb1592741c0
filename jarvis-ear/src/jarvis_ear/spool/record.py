"""Record: the file format of an utterance."""

import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.delivery.utterance import MAX_PCM_BYTES, Utterance
from jarvis_ear.units import SAMPLE_BYTES

NAME: Final = re.compile(r"[0-9]{13}-[0-9a-f]{8}")
"""Milliseconds since boot, so that names sort by age, and eight characters of the turn.

No file name is built from external input.
"""

_MAGIC: Final = b"JESP"
_VERSION: Final = 2
_HEADER: Final = struct.Struct("<4sHH64s36s64sdII")
"""Magic, version, two zero bytes, turn, boot, agent, end of speech, bytes of sound, CRC-32."""

_HEADER_1: Final = struct.Struct("<4sHH64s36sdII")
"""The same in version 1, which has no agent."""

RECORD_HEADER_BYTES: Final = _HEADER.size

_OPEN: Final = 0xFFFF_FFFF
"""Length in the header of an utterance in progress."""

_PLAIN: Final = re.compile(r"[\x21-\x7e]{1,64}")
"""Valid turn id: one word that is safe in a log."""


class NotARecord(ValueError):
    """The bytes are not a record of an utterance."""


class Torn(ValueError):
    """The record is incomplete: the ear was killed during the utterance, or the file is damaged."""


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
    agent_id: str = ""
    """Agent that the utterance is for; empty: the configured one."""
    size: int = RECORD_HEADER_BYTES
    """Bytes of the header."""


def name_of(turn_id: str, at: float) -> str:
    """Return the file name of a turn that began at ``at``."""
    letters = (
        turn_id if re.fullmatch(r"[0-9a-f]{8}", turn_id) else f"{zlib.crc32(turn_id.encode()):08x}"
    )
    return f"{min(max(0, int(at * 1000)), 10**13 - 1):013d}-{letters}"


def open_header(turn_id: str, boot_id: str, began_at: float) -> bytes:
    """Return the header of an utterance in progress."""
    return _header((turn_id, boot_id, ""), began_at, _OPEN, 0)


def closed_header(utterance: Utterance, boot_id: str) -> bytes:
    """Return the header of a complete utterance, which precedes its sound."""
    pcm = utterance.pcm
    ids = (utterance.turn_id, boot_id, utterance.agent_id)
    crc = _crc(_header(ids, utterance.ended_at, len(pcm), 0), pcm)
    return _header(ids, utterance.ended_at, len(pcm), crc)


def fits(utterance: Utterance) -> bool:
    """Whether the turn id, the agent and the size of an utterance fit into a record."""
    ids = (utterance.turn_id, utterance.agent_id or utterance.turn_id)
    return all(map(_PLAIN.fullmatch, ids)) and len(utterance.wav) <= MAX_PCM_BYTES


def read_header(data: bytes) -> Header:
    """Read the header of a file, or raise ``NotARecord``."""
    form = _HEADER_1 if data[4:6] == b"\x01\x00" else _HEADER
    if len(data) < form.size:
        raise NotARecord("too short for a header")
    magic, version, _, turn, boot, *agent, ended_at, length, crc = form.unpack_from(data)
    turn_id, boot_id, agent_id = _text(turn), _text(boot), _text(*agent or (b"",))
    is_known = magic == _MAGIC and version in {1, _VERSION}
    if not is_known or not _PLAIN.fullmatch(turn_id) or not _PLAIN.fullmatch(agent_id or turn_id):
        raise NotARecord("not the header of an utterance")
    if not math.isfinite(ended_at):
        raise NotARecord("an end of speech that is not a time")
    size = None if length == _OPEN else length
    return Header(turn_id, boot_id, ended_at, size, crc, agent_id, form.size)


def read(data: bytes) -> Utterance:
    """Read a whole file, or raise ``NotARecord`` or ``Torn``."""
    header = read_header(data)
    pcm = data[header.size :]
    if header.pcm_bytes is None:
        raise Torn("the utterance was not finished")
    if header.pcm_bytes != len(pcm) or len(pcm) % SAMPLE_BYTES:
        raise Torn("not as long as its header says")
    if _crc(data[: header.size], pcm) != header.crc:
        raise Torn("wrong checksum")
    return Utterance(
        header.turn_id, pcm_to_wav(pcm), len(pcm), header.ended_at, agent_id=header.agent_id
    )


def _header(ids: tuple[str, str, str], at: float, length: int, crc: int) -> bytes:
    """Return the header with the ids of turn, boot and agent; the boot's is cut if it is long."""
    return _HEADER.pack(
        _MAGIC, _VERSION, 0, *(text.encode("ascii") for text in ids), at, length, crc
    )


def _crc(header: bytes, pcm: bytes) -> int:
    """Checksum everything except the checksum itself, at the end of the header."""
    return zlib.crc32(pcm, zlib.crc32(header[:-4]))


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")
