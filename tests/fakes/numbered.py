"""Utterances whose sound is a number, so that a server can tell which one it ran."""

import struct


def numbered(number: int, samples: int = 8000) -> bytes:
    """Return PCM16 that says ``number`` from its first sample to its last (an even count)."""
    return struct.pack("<I", number) * (samples // 2)


def number_in(pcm: bytes) -> int | None:
    """Return the number that ``pcm`` carries; None when it is torn, mixed or empty."""
    if len(pcm) < 4 or len(pcm) % 4:
        return None
    return int(struct.unpack("<I", pcm[:4])[0]) if pcm == pcm[:4] * (len(pcm) // 4) else None
