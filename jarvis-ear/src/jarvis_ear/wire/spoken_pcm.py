"""SpokenPcm: a reply that comes as bare PCM16, as sound files that can be played one by one."""

from typing import Final

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wire.voice_messages import TtsChunk

CONTENT_TYPE: Final = "audio/wav"

FIRST_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES // 2
"""0.5 s: what is collected before the first sound, so that none is missing later. Servers send no
more than 0.2 s ahead of what is heard, and a piece can only be played when it is whole."""

NEXT_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES // 4
"""0.25 s: half of what was collected first, so a late frame does as much as that can cover."""


class SpokenPcm:
    """Collects frames of one reply and gives out sound files. Pure; owned by a dialect.

    Bound: one piece; the reply as a whole is bounded by whoever takes the pieces.
    """

    def __init__(self) -> None:
        self._pcm = bytearray()
        self.pieces = 0
        """Sound files that were given out."""

    def add(self, pcm: bytes) -> tuple[TtsChunk, ...]:
        """Take a frame, and return what is whole with it."""
        self._pcm += pcm
        ready: list[TtsChunk] = []
        while len(self._pcm) >= self._wanted():
            ready.append(self._cut(self._wanted()))
        return tuple(ready)

    def rest(self) -> tuple[TtsChunk, ...]:
        """Return what is left: nothing follows, or not for a while."""
        return (self._cut(len(self._pcm)),) if self._pcm else ()

    def _wanted(self) -> int:
        return NEXT_BYTES if self.pieces else FIRST_BYTES

    def _cut(self, size: int) -> TtsChunk:
        piece = TtsChunk(self.pieces, CONTENT_TYPE, pcm_to_wav(bytes(self._pcm[:size])))
        del self._pcm[:size]
        self.pieces += 1
        return piece
