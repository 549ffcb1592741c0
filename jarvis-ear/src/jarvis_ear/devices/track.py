"""Track: the sound of one reply between decoder and output, and where it resumes after a pause."""

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

SENTENCE_S: Final = 1.0
"""A reply that was cut within this time of the beginning of a sentence resumes there."""

BACK_S: Final = 0.3
"""Else it resumes this time before the cut: half a word to a word of context."""

PIECE_S: Final = 0.3
"""A chunk that begins within this time of the one before is a piece of raw sound, which wires
divide after 0.1 and 0.25 s, and begins no sentence."""

KEPT_S: Final = 2.0
"""Written sound that is kept: more than ``SENTENCE_S`` and the buffer of a device together."""


class Track:
    """Sound to be written, and the last of what was. Pure; positions count samples of the reply.

    Bound: ``KEPT_S`` of written sound, and as much as the caller adds before it is written.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        """Samples per second of the output."""
        self._sound = np.empty(0, np.int16)
        self._first = 0  # position of its first sample
        self._next = 0  # position of the next sample to write
        self._cut = 0
        self._begin = -rate  # of the last chunk
        self._sentences: deque[int] = deque()  # where they begin, oldest first

    @property
    def left(self) -> int:
        """Samples to be written."""
        return self._first + len(self._sound) - self._next

    def begin_chunk(self) -> None:
        """Note that a chunk begins with the next sample added."""
        begin = self._first + len(self._sound)
        if begin == 0 or begin - self._begin >= PIECE_S * self.rate:
            self._sentences.append(begin)
        self._begin = begin

    def add(self, pcm: npt.NDArray[np.int16]) -> None:
        """Add sound at the end; forget what was written long ago."""
        kept = max(0, self._next - self._first - round(KEPT_S * self.rate))
        self._sound = np.concatenate([self._sound[kept:], pcm])
        self._first += kept
        while self._sentences and self._sentences[0] < self._first:
            self._sentences.popleft()

    def peek(self, most: int) -> npt.NDArray[np.int16]:
        """Return up to ``most`` samples to be written."""
        start = self._next - self._first
        return self._sound[start : start + most]

    def advance(self, count: int) -> None:
        """Note that the next ``count`` samples were written."""
        self._next += count

    def cut(self, unheard: int) -> None:
        """Note that playback ends here for now; the last ``unheard`` written samples are lost."""
        self._cut = max(self._first, self._next - unheard)

    def rewind(self) -> None:
        """Go back to where playback resumes after a cut, so that nothing is missed.

        That is the beginning of the sentence if the cut lies within 1 s of it, else 0.3 s before
        the cut.
        """
        oldest = self._cut - round(SENTENCE_S * self.rate)
        begins = [begin for begin in self._sentences if oldest <= begin <= self._cut]
        back = max(self._first, self._cut - round(BACK_S * self.rate))
        self._next = begins[-1] if begins else back
