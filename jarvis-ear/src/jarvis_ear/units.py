"""The units every other module speaks in.

Time inside the core is a count of samples since the source was opened, never seconds and never a
clock: it is exact, comparable, and a test can say "fifteen seconds" without waiting for them.
Milliseconds exist only at the edges: in the configuration, on a wire, in a log line.
"""

from typing import Final, NewType

Samples = NewType("Samples", int)
"""A count of samples, or a position in the stream counted from its first sample."""

Milliseconds = NewType("Milliseconds", int)
"""Whole milliseconds, for people and wires."""

Dbfs = NewType("Dbfs", float)
"""Decibels relative to a full-scale sine: 0 is the loudest, -96 about the quietest of PCM16."""

SAMPLE_RATE: Final = 16_000
"""Samples per second: the rate of the wake model, of webrtcvad, and of every wire."""

SAMPLE_BYTES: Final = 2
"""Bytes per sample: signed 16-bit little-endian, one channel."""

FRAME_SAMPLES: Final = 320
"""20 ms: a length webrtcvad accepts, and a quarter of a wake-model step."""

FRAME_BYTES: Final = FRAME_SAMPLES * SAMPLE_BYTES
"""Bytes of one frame (640)."""

STEP_FRAMES: Final = 4
"""Frames in one step of the wake model."""

STEP_SAMPLES: Final = FRAME_SAMPLES * STEP_FRAMES
"""80 ms: the only length at which the wake model's history stays true to what it was trained on."""


def samples(duration_ms: int) -> Samples:
    """How many samples ``duration_ms`` milliseconds are (exact: 16 samples per millisecond)."""
    return Samples(duration_ms * SAMPLE_RATE // 1000)


def frames(duration_ms: int) -> int:
    """How many whole frames it takes to cover ``duration_ms`` milliseconds (rounded up)."""
    return -(-samples(duration_ms) // FRAME_SAMPLES)


def milliseconds(count: int) -> Milliseconds:
    """How many whole milliseconds ``count`` samples last (rounded down)."""
    return Milliseconds(count * 1000 // SAMPLE_RATE)


def seconds(count: int) -> float:
    """How many seconds ``count`` samples last, for people to read."""
    return count / SAMPLE_RATE
