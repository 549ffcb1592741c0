"""HoldBack: sound goes ahead as long as no server can take a pause in it for its end."""

from typing import Final

import numpy as np

from jarvis_ear.units import FRAME_BYTES, frames

PAUSE_BYTES: Final = frames(400) * FRAME_BYTES
"""Half of the silence after which a server of the session stream takes an utterance for complete:
the other half is for servers that hear less than we do."""

QUIET: Final = 10 ** (-15 / 10)
"""-15 dB as a ratio of energies: what is so much quieter than the loudest frame may be a pause."""


class HoldBack:
    """Keeps every pause until speech follows, and everything from a long one on. Pure.

    Owned by a dialect, for one utterance, which bounds it. What is kept comes with ``rest``.
    """

    def __init__(self) -> None:
        self._partial = b""
        self._kept = bytearray()
        self._loudest = 0.0

    def add(self, pcm: bytes) -> bytes:
        """Take sound, and return what may go ahead: whole frames of 20 ms."""
        data, ahead = self._partial + pcm, bytearray()
        whole = len(data) - len(data) % FRAME_BYTES
        self._partial = data[whole:]
        for at in range(0, whole, FRAME_BYTES):
            ahead += self._take(data[at : at + FRAME_BYTES])
        return bytes(ahead)

    def rest(self) -> bytes:
        """Return what was kept, filled up to whole frames: nothing follows."""
        kept = bytes(self._kept) + self._partial
        return kept + bytes(-len(kept) % FRAME_BYTES)

    def _take(self, frame: bytes) -> bytes:
        energy = float(np.mean(np.frombuffer(frame, "<i2").astype(np.float64) ** 2))
        self._loudest = max(self._loudest, energy)
        may_be_pause = energy < self._loudest * QUIET
        if may_be_pause or len(self._kept) >= PAUSE_BYTES:
            self._kept += frame
            return b""
        ahead = bytes(self._kept) + frame
        self._kept.clear()
        return ahead
