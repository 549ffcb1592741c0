"""Frame: 20 ms of sound and where it stands in the stream."""

from dataclasses import dataclass

from jarvis_ear.units import FRAME_SAMPLES, Samples


@dataclass(frozen=True, slots=True)
class Frame:
    """Exactly 20 ms of sound: what the hearing works on."""

    start: Samples
    """Position of its first sample; a jump from the frame before it is a gap."""
    pcm: bytes
    """640 bytes: 320 samples, PCM16 little-endian, one channel."""

    @property
    def end(self) -> Samples:
        """Position of the first sample after it."""
        return Samples(self.start + FRAME_SAMPLES)
