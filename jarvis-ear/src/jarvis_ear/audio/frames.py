"""Blocks and frames of PCM16."""

from dataclasses import dataclass

from jarvis_ear.units import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_BYTES, Samples


@dataclass(frozen=True, slots=True)
class Block:
    """Sound from a source: any whole number of samples at 16 kHz, one channel."""

    start: Samples
    """Position of the first sample. Lost samples are counted, so a gap is a jump."""
    data: bytes
    """PCM16 little-endian, one channel, an even number of bytes."""

    @property
    def end(self) -> Samples:
        """Position of the first sample after the block."""
        return Samples(self.start + len(self.data) // SAMPLE_BYTES)


@dataclass(frozen=True, slots=True)
class Frame:
    """Exactly 20 ms of sound, the unit that ``hearing`` processes."""

    start: Samples
    """Position of the first sample; a jump from the previous frame is a gap."""
    pcm: bytes
    """640 bytes: 320 samples, PCM16 little-endian, one channel."""

    @property
    def end(self) -> Samples:
        """Position of the first sample after the frame."""
        return Samples(self.start + FRAME_SAMPLES)


class Framer:
    """Cuts blocks into frames and carries the remainder. Owned by the thread that reads the blocks.

    A gap between two blocks drops the remainder and starts the next frame at the end of the gap: a
    frame never joins sound from both sides of a gap.
    """

    def __init__(self) -> None:
        self._carried = b""
        self._next = Samples(0)
        self.gaps = 0
        """Number of gaps."""
        self.samples_lost = Samples(0)
        """Samples in no frame: those lost in gaps and the remainders dropped at them."""

    def push(self, block: Block) -> list[Frame]:
        """Return the frames that ``block`` completes, oldest first; zero or more."""
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
