"""Utterances for delivery: complete, still being spoken (drafts), and as records on file."""

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
    """One utterance as it was captured. A value: any thread may have it."""

    pcm: bytes
    """PCM16 little-endian, 16 kHz, one channel."""
    turn_id: str
    """The name of its turn, never used before."""
    spoken_at: float
    """When its last spoken sample was captured, in seconds of CLOCK_BOOTTIME: its age counts from
    here."""


class Past(Enum):
    """What an utterance has been through before the outbox got it."""

    NEW = "new"
    """Nothing: it cannot have run."""
    PERHAPS_RAN = "perhaps ran"
    """A former life of the ear committed it, and never heard what became of it."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the person said, as the file that the backend gets."""

    turn_id: str
    wav: bytes
    """One complete WAV file."""
    raw_bytes: int
    """How many bytes of PCM16 are in it."""
    ended_at: float
    """When its last spoken sample was captured, in seconds of the delivery's clock: its age counts
    from here."""
    past: Past = Past.NEW
    """Whether it may have run already."""

    @property
    def pcm(self) -> bytes:
        """Its sound, without the header of the file."""
        return self.wav[HEADER_BYTES:]


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

RECORD_HEADER_BYTES: Final = _HEADER.size

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
    """Sum up everything but the sum itself, which stands at the end of the header."""
    return zlib.crc32(pcm, zlib.crc32(header[:-4]))


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")


MAX_HEARD: Final = 64
"""Messages about an utterance that is not complete: one or two are usual."""


class Draft:
    """What somebody has said so far, on its way up before it is complete.

    Owned by the outbox; the network thread only. Nothing of it may run: its end, which is the
    commit, is said by its turn. A backend that works on it all the same (it found an end of its
    own) has ``taken`` it. Bound: ``MAX_PCM_BYTES``; what is longer goes up when it is complete.
    """

    def __init__(self, turn_id: str) -> None:
        self.turn_id = turn_id
        self._pcm = bytearray()
        self._sent: int | None = None
        self.heard: list[FromBackend] = []
        """What the backend said about it on this link, at most 64 messages: the rest is lost."""
        self.taken = False
        """Whether a backend has begun to work on it, on this link or an earlier one."""

    @property
    def on_link(self) -> bool:
        """Whether the present link has a part of it."""
        return self._sent is not None

    @property
    def sent_bytes(self) -> int:
        """How much of it the present link has."""
        return self._sent or 0

    def add(self, offset: int, pcm: bytes) -> bool:
        """Take what was said since; False if something is missing before it, or it is too long."""
        if offset != len(self._pcm) or offset + len(pcm) > MAX_PCM_BYTES:
            return False
        self._pcm += pcm
        return True

    def news(self) -> tuple[int, bytes]:
        """Return what the present link does not have, and where that begins: it gets it now."""
        offset, self._sent = self.sent_bytes, len(self._pcm)
        return offset, bytes(self._pcm[offset:])

    def hear(self, message: FromBackend) -> None:
        """Keep what the backend says about it, for its turn."""
        self.taken |= isinstance(message, Processing | Transcript)
        if len(self.heard) < MAX_HEARD and not isinstance(message, Pong):
            self.heard.append(message)

    def lose_link(self) -> None:
        """Begin anew on the next link: this one is no more."""
        self._sent = None
        self.heard.clear()

    def begins(self, pcm: bytes) -> bool:
        """Whether ``pcm`` is what the link has of it, and more."""
        return pcm[: self.sent_bytes] == self._pcm[: self.sent_bytes]
