"""Utterances for delivery: complete, and in progress (drafts)."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from jarvis_ear.audio.wav import HEADER_BYTES
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
    agent_id: str = ""
    """Agent that it is for, on a wire that names agents; empty: the configured one."""
    wake_word: str = ""
    """Wake word that it followed, as ``hey_jarvis``, on a wire that names it; empty: none."""


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
    agent_id: str = ""
    """Agent that it is for; empty: the configured one."""
    wake_word: str = ""
    """Wake word that it followed; empty: none, or an earlier run of the ear captured it."""

    @property
    def pcm(self) -> bytes:
        """Its sound, without the header of the file."""
        return self.wav[HEADER_BYTES:]


MAX_PCM_BYTES: Final = 4 * 1024 * 1024
"""More sound than one message to the backend can carry."""

MAX_MESSAGES: Final = 64
"""Messages about an incomplete utterance; one or two are usual."""


class Draft:
    """An utterance in progress that is uploaded before it is complete.

    Owned by the outbox; the network thread only. It cannot run: the commit is its end, which its
    turn sends. A backend that processes it anyway (it detected an end itself) has ``taken`` it.
    Bound: ``MAX_PCM_BYTES``; a longer one is uploaded when it is complete.
    """

    def __init__(self, turn_id: str) -> None:
        self.turn_id = turn_id
        self._pcm = bytearray()
        self.sent_bytes = 0
        """How many of its bytes the current link has."""
        self.on_link = False
        """Whether its start was sent on the current link."""
        self.messages: list[FromBackend] = []
        """Messages of the backend about it on this link, at most 64; the rest is dropped."""
        self.taken = False
        """Whether a backend has begun to process it, on this link or an earlier one."""

    def add(self, offset: int, pcm: bytes) -> bool:
        """Append sound; return False if there is a gap before it, or it is too long."""
        if offset != len(self._pcm) or offset + len(pcm) > MAX_PCM_BYTES:
            return False
        self._pcm += pcm
        return True

    def take_unsent(self) -> tuple[int, bytes]:
        """Return offset and sound that the current link lacks, and count them as sent."""
        offset, self.on_link, self.sent_bytes = self.sent_bytes, True, len(self._pcm)
        return offset, bytes(self._pcm[offset:])

    def hear(self, message: FromBackend) -> None:
        """Keep a message of the backend about it, for its turn."""
        self.taken |= isinstance(message, Processing | Transcript)
        if len(self.messages) < MAX_MESSAGES and not isinstance(message, Pong):
            self.messages.append(message)

    def lose_link(self) -> None:
        """Start from the beginning on the next link."""
        self.on_link, self.sent_bytes = False, 0
        self.messages.clear()

    def is_prefix_of(self, pcm: bytes) -> bool:
        """Whether ``pcm`` begins with the part that the link has."""
        return pcm[: self.sent_bytes] == self._pcm[: self.sent_bytes]
