"""Units of all other modules.

Time in the core is a count of samples since the source was opened, never seconds of a clock: it is
exact and comparable, and a test can simulate fifteen seconds without waiting. Milliseconds are used
only at the edges: in the configuration, on a wire and in a log line.
"""

from typing import Final, NewType

Samples = NewType("Samples", int)
"""A count of samples, or a position in the stream counted from its first sample."""

Milliseconds = NewType("Milliseconds", int)
"""Whole milliseconds, for display and for wires."""

Dbfs = NewType("Dbfs", float)
"""Decibels relative to a full-scale sine: 0 is the maximum, -96 about the minimum of PCM16."""

SAMPLE_RATE: Final = 16_000
"""Samples per second: the rate of the wake model, of webrtcvad, and of every wire."""

SAMPLE_BYTES: Final = 2
"""Bytes per sample: signed 16-bit little-endian, one channel."""

FRAME_SAMPLES: Final = 320
"""Samples per frame: 20 ms, a length that webrtcvad accepts, a quarter of a wake-model step."""

FRAME_BYTES: Final = FRAME_SAMPLES * SAMPLE_BYTES
"""Bytes of one frame (640)."""

STEP_FRAMES: Final = 4
"""Frames in one step of the wake model."""

STEP_SAMPLES: Final = FRAME_SAMPLES * STEP_FRAMES
"""80 ms: the only length at which the wake model's history matches its training."""


def samples(duration_ms: int) -> Samples:
    """Return the samples of ``duration_ms`` milliseconds (exact: 16 samples per millisecond)."""
    return Samples(duration_ms * SAMPLE_RATE // 1000)


def frames(duration_ms: int) -> int:
    """Return the frames that cover ``duration_ms`` milliseconds (rounded up)."""
    return -(-samples(duration_ms) // FRAME_SAMPLES)


def milliseconds(count: int) -> Milliseconds:
    """Return the duration of ``count`` samples in whole milliseconds (rounded down)."""
    return Milliseconds(count * 1000 // SAMPLE_RATE)


def seconds(count: int) -> float:
    """Return the duration of ``count`` samples in seconds, for display."""
    return count / SAMPLE_RATE


HOLD_S: Final = 4.0
"""Seconds for which the sound process may keep quiet sound back. What expects sound to move waits
that much longer."""
