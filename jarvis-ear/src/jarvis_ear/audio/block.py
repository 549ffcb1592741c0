"""Block: what a source handed over, stamped with where it stands."""

from dataclasses import dataclass

from jarvis_ear.units import SAMPLE_BYTES, Samples


@dataclass(frozen=True, slots=True)
class Block:
    """Sound as it came from a source: any whole number of samples at 16 kHz, one channel."""

    start: Samples
    """Position of its first sample. Samples known to be lost are counted, so a gap is a jump."""
    data: bytes
    """PCM16 little-endian, one channel, an even number of bytes."""

    @property
    def end(self) -> Samples:
        """Position of the first sample after it."""
        return Samples(self.start + len(self.data) // SAMPLE_BYTES)
