"""Framer: blocks of any length in, whole frames out."""

from jarvis_ear.audio.block import Block
from jarvis_ear.audio.frame import Frame
from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES, Samples


class Framer:
    """Cuts blocks into frames, carrying what is left over. Owned by whoever reads the blocks.

    A gap between two blocks drops what was carried and starts the next frame at the gap's end: a
    frame never glues together sound that was apart.
    """

    def __init__(self) -> None:
        self._carried = b""
        self._next = Samples(0)
        self.gaps = 0
        """How often sound was lost."""
        self.samples_lost = Samples(0)
        """How much sound is in no frame: what the gaps swallowed and the remainders they cost."""

    def push(self, block: Block) -> list[Frame]:
        """Return the frames that ``block`` completes, oldest first: often none, sometimes many."""
        if block.start != self._next:
            self._jump(block.start)
        sound = self._carried + block.data
        start = self._next - len(self._carried) // SAMPLE_BYTES
        whole = len(sound) - len(sound) % FRAME_BYTES
        self._carried = sound[whole:]
        self._next = block.end
        return [
            Frame(Samples(start + at // SAMPLE_BYTES), sound[at : at + FRAME_BYTES])
            for at in range(0, whole, FRAME_BYTES)
        ]

    def _jump(self, to: Samples) -> None:
        remainder = len(self._carried) // SAMPLE_BYTES
        self.samples_lost = Samples(self.samples_lost + remainder + max(0, to - self._next))
        self.gaps += 1
        self._carried = b""
        self._next = to
