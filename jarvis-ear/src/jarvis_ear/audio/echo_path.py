"""Echo path: aligns what the loudspeaker plays with the microphone, and removes it there."""

import math
from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.echo_canceller import PARTITIONS, EchoCanceller
from jarvis_ear.audio.echo_delay import (
    FAR_SAMPLES,
    LEAST_DELAY,
    LOOK_SAMPLES,
    MOST_DELAY,
    DelayFinder,
    DriftTracker,
)
from jarvis_ear.audio.level import FULL_SCALE
from jarvis_ear.units import FRAME_SAMPLES, Samples, samples

Floats = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]

LINE_SAMPLES: Final = Samples(1 << 17)
"""Length of a line, 8.2 s: the sound that is learned again with its delay (4 s), and what is played
while the sound process holds the microphone back (4 s)."""


class SampleLine:
    """The newest samples of a stream, read by position. Owned by the ear thread.

    Bound: ``LINE_SAMPLES``; older samples are dropped by design. What was never written, or is
    dropped, reads as zeros.
    """

    def __init__(self) -> None:
        self._ring = np.zeros(LINE_SAMPLES, np.int16)
        self.end = Samples(0)
        """Position after the newest sample."""

    def write(self, position: int, pcm: Pcm) -> None:
        """Store ``pcm`` at ``position``, and drop what was stored there and behind it."""
        self.cut(position)
        gap = min(position - self.end, LINE_SAMPLES)
        self._store(position - gap, np.zeros(gap, np.int16))
        self.end = Samples(position + len(pcm))
        newest = pcm[-LINE_SAMPLES:]
        self._store(self.end - len(newest), newest)

    def cut(self, position: int) -> None:
        """Drop everything from ``position`` on."""
        if position < self.end - LINE_SAMPLES:
            self._ring.fill(0)
        elif position < self.end:
            self._store(position, np.zeros(self.end - position, np.int16))
        self.end = Samples(min(self.end, position))

    def read(self, position: int, count: int) -> Floats:
        """Return ``count`` samples from ``position`` on, -1 ... 1."""
        result = np.zeros(count, np.float32)
        first = max(position, self.end - LINE_SAMPLES)
        length = min(position + count, self.end) - first
        if length > 0:
            at = first % LINE_SAMPLES
            whole = self._ring[at : at + length], self._ring[: max(0, at + length - LINE_SAMPLES)]
            result[first - position :][:length] = np.concatenate(whole)
        return result / np.float32(FULL_SCALE)

    def _store(self, position: int, pcm: Pcm) -> None:
        at = position % LINE_SAMPLES
        fits = min(len(pcm), LINE_SAMPLES - at)
        self._ring[at : at + fits] = pcm[:fits]
        self._ring[: len(pcm) - fits] = pcm[fits:]


JITTER: Final = samples(30)
"""Maximum error in the stamp of a piece that continues the previous one."""

TAPS: Final = 32
"""Length of the interpolation. Its error is below -50 dB up to 6 kHz."""

PHASES: Final = 256
"""Fractions of a sample that the interpolation distinguishes."""


class FarEnd:
    """What the loudspeaker plays, on the sample clock of the microphone. Owned by the ear thread.

    Each piece is stamped with the position at which it leaves the loudspeaker. Stamps are inexact:
    a piece within JITTER of the end of the previous one continues it without a seam. Bound and
    policy are those of a ``SampleLine``; gaps are zeros.
    """

    def __init__(self) -> None:
        self.line = SampleLine()
        """The samples as they were played."""

    def add(self, pcm: Pcm, position: int) -> bool:
        """Add a piece; return whether it begins anew instead of continuing the previous one."""
        begins = abs(position - self.line.end) > JITTER or not self.line.end
        self.line.write(position if begins else self.line.end, pcm)
        return begins

    def frame(self, start: float, end: float) -> Floats:
        """Return the sound from ``start`` to ``end`` in 320 samples of -1 ... 1.

        Both may lie between samples. The sound is interpolated by a windowed sinc for each end, and
        fades from one to the other: the two differ by far less than a sample.
        """
        first, last = self._interpolate(start), self._interpolate(end - FRAME_SAMPLES)
        faded: Floats = first + (last - first) * _RAMP
        return faded

    def _interpolate(self, start: float) -> Floats:
        whole, phase = divmod(round(start * PHASES), PHASES)
        sound = self.line.read(whole - TAPS // 2 + 1, FRAME_SAMPLES + TAPS - 1)
        return np.convolve(sound, _KERNELS[phase], "valid").astype(np.float32, copy=False)


def _kernels() -> Floats:
    """Return one kernel for each phase, in the order of a convolution."""
    times = np.arange(TAPS) - (TAPS // 2 - 1) - np.arange(PHASES)[:, None] / PHASES
    kernels: npt.NDArray[np.float64] = np.sinc(times) * np.cos(np.pi * times / TAPS) ** 2
    kernels /= kernels.sum(axis=1, keepdims=True)
    return kernels[:, ::-1].astype(np.float32)


_KERNELS: Final = _kernels()
_RAMP: Final = (np.arange(FRAME_SAMPLES) / FRAME_SAMPLES).astype(np.float32)

LEAD: Final = Samples(FRAME_SAMPLES)
"""Position of the direct sound in the filter: the delay may be that much shorter than known."""

TAIL: Final = Samples((PARTITIONS + 1) * FRAME_SAMPLES)
"""Sound after the end of the far end in which its echo is still cancelled."""

SEARCH_EVERY: Final = samples(250)
"""Sound between two looks until a delay is found."""

LOOK_EVERY: Final = samples(500)
"""Sound between two looks after that."""

LEARN_AGAIN: Final = samples(3000)
"""Maximum sound that the filter learns again; 3 s take about 20 ms."""

MOST_DRIFT_CHANGE: Final = 10e-6
"""Change of the drift that the filter follows; after a larger one, it learns again."""


class EchoPath:
    """Removes the sound of the loudspeaker from the frames of the microphone.

    Owned by the ear thread. Costs nothing while nothing plays, and about 9 ms of CPU for a second
    of sound that is played. Until a delay is known, frames pass unchanged; then the sound so far is
    learned at once. The path, the delay and the drift are kept from one reply to the next.
    """

    def __init__(self, delay: float | None = None, drift: float | None = None) -> None:
        """``delay`` and ``drift`` are those of an earlier run with the same two devices."""
        self._far = FarEnd()
        self._microphone = SampleLine()
        self._canceller = EchoCanceller()
        self._finder = DelayFinder()
        self._tracker = DriftTracker(drift)
        self._drift = self._tracker.drift
        self._is_known = delay is not None
        self._shift = (delay or 0.0) - LEAD  # of the far end for the canceller
        self._now = 0
        self._heard_since = 0
        self._aligned_at = -1
        self._next_look = 0
        self._plays_until = 0
        self.late = 0
        """Samples of the far end that came after the frames in which their echo may be."""

    @property
    def is_playing(self) -> bool:
        """Whether the next frame may contain an echo."""
        return self._now < self._plays_until

    @property
    def delay(self) -> float | None:
        """Last delay that was found, in samples; None: not known."""
        return self._shift + LEAD if self._is_known else None

    @property
    def drift(self) -> float:
        """Samples by which the delay grows in each sample: 50e-6 is 50 ppm."""
        return self._tracker.drift

    def counters(self) -> dict[str, int]:
        """Return all counters by name."""
        canceller = self._canceller
        return {"late": self.late, "passed": canceller.passed, "resets": canceller.resets}

    def far(self, pcm: bytes, position: int) -> None:
        """Add a piece of what is played: PCM16 whose first sample leaves at ``position``.

        It must be added before the frames with its echo are heard. ``position`` may be inexact by
        JITTER within a reply, and by the range of delays between replies.
        """
        sound = np.frombuffer(pcm, "<i2")
        if self._far.add(sound, position):
            self._tracker.restart()
            self._next_look = self._now + SEARCH_EVERY
        delay = math.ceil(self._shift) + LEAD if self._is_known else MOST_DELAY
        end = self._far.line.end
        self.late += min(max(0, self._now - delay - (end - len(sound))), len(sound))
        self._plays_until = end + delay + TAIL

    def cut(self, position: int) -> None:
        """Take back the sound that would have left the loudspeaker from ``position`` on."""
        self._plays_until -= max(0, self._far.line.end - position)
        self._far.line.cut(position)

    def hear(self, pcm: bytes, position: int) -> bytes:
        """Return a frame, 640 bytes of PCM16 from ``position`` on, without the echo."""
        continues = position == self._now
        self._now = position + FRAME_SAMPLES
        if position >= self._plays_until:
            self._heard_since = self._now
            return pcm
        if not continues:
            self._heard_since = position
        frame = np.frombuffer(pcm, "<i2")
        self._microphone.write(position, frame)
        if self._now >= self._next_look:
            self._look()
        if not self._is_known:
            return pcm
        if position != self._aligned_at:
            self._refill(position)
        return self._cancel(frame, position).astype("<i2", copy=False).tobytes()

    def _cancel(self, frame: Pcm, position: int) -> Pcm:
        start = position - self._shift
        self._shift += self._drift * FRAME_SAMPLES
        self._aligned_at = position + FRAME_SAMPLES
        far = self._far.frame(start, self._aligned_at - self._shift)
        return self._canceller.cancel(frame, far, learns=self._tracker.is_tracking)

    def _refill(self, position: int) -> None:
        """Give the far end before ``position`` to the canceller, as after a gap."""
        for before in range(PARTITIONS, 0, -1):
            start = position - before * FRAME_SAMPLES - self._shift
            self._canceller.follow(self._far.frame(start, start + FRAME_SAMPLES))

    def _look(self) -> None:
        first = self._now - LOOK_SAMPLES
        found = self._finder.look(
            self._microphone.read(first, LOOK_SAMPLES),
            self._far.line.read(first - MOST_DELAY, FAR_SAMPLES),
        )
        if found is not None:
            restarted = not self._tracker.is_tracking
            jumped = self._tracker.add(self._now - found.age, found.samples)
            self._align(jumped=jumped, keeps_path=restarted and self._is_known, gain=found.gain)
        self._next_look = self._now + (LOOK_EVERY if self._tracker.is_tracking else SEARCH_EVERY)

    def _align(self, *, jumped: bool, keeps_path: bool, gain: float) -> None:
        """Adopt the delay and the drift; learn again if they are new.

        At the first look of a reply the path is kept: the room is the same. Later it has already
        been learned with the wrong delay.
        """
        drifted = abs(self._tracker.drift - self._drift) > MOST_DRIFT_CHANGE
        self._drift = self._tracker.drift
        if not (jumped or drifted):
            return
        if not keeps_path:
            self._canceller.reset(gain)
        self._is_known = True
        self._learn_again()

    def _learn_again(self) -> None:
        """Run the canceller over the last seconds, up to the frame that is heard now."""
        last = self._now - FRAME_SAMPLES
        count = min(last - self._heard_since, LEARN_AGAIN) // FRAME_SAMPLES
        first = last - count * FRAME_SAMPLES
        self._shift = self._tracker.delay_at(first) - LEAD
        self._refill(first)
        for position in range(first, last, FRAME_SAMPLES):
            frame = self._microphone.read(position, FRAME_SAMPLES) * np.float32(FULL_SCALE)
            self._cancel(frame.astype(np.int16), position)


EARLIEST: Final = samples(-100)
"""Position of a detection relative to the expected echo, at least; steps begin at any frame."""

LATEST: Final = samples(400)
"""The same, at most: in the echo, the score may rise later."""

LEAST_SCORE: Final = 0.03
"""Score from which the far end may have said the wake word. Measured on 30 replies that say it, in
five voices: the highest scores are 0.3 to 1.0, or 0.04 if the steps begin at another sample. Of 13
minutes of other replies, 0.1 % of the steps reach it."""

MOST_WORDS: Final = 64
"""Steps of the far end that are kept; a wake word scores for about 5."""


class SelfEcho:
    """Decides whether a wake word came from the loudspeaker. Owned by the ear thread.

    Bound: ``MOST_WORDS``; the oldest are dropped by design.
    """

    def __init__(self) -> None:
        self._words: deque[int] = deque(maxlen=MOST_WORDS)
        self.vetoed = 0
        """Number of detections that were the ear's own voice."""

    def add(self, position: int, score: float) -> None:
        """Add the score of a step of the far end that ends at ``position``."""
        if score >= LEAST_SCORE:
            self._words.append(position)

    def is_own(self, position: int, delay: float | None) -> bool:
        """Whether a detection in the microphone at ``position`` is an echo with this ``delay``.

        If the delay is not known, each possible one counts.
        """
        least, most = (LEAST_DELAY, MOST_DELAY) if delay is None else (delay, delay)
        own = any(EARLIEST + least <= position - word <= LATEST + most for word in self._words)
        self.vetoed += own
        return own
