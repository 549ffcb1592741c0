"""CapturedAudio: what the ear hands over for delivery."""

from dataclasses import dataclass


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
