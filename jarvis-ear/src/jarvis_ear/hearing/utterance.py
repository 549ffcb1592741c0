"""Utterance: one stretch of a person's speech, from the pre-roll to the end."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from jarvis_ear.audio.frames import Frame
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_BYTES, Samples, frames


class EndReason(StrEnum):
    """Why an utterance ended."""

    HANGOVER = "hangover"
    """The person stopped speaking."""
    MAX_LENGTH = "max_length"
    """The utterance reached its maximum length."""
    SOUND_ENDED = "sound_ended"
    """The file or stream ended."""
    MICROPHONE_LOST = "microphone_lost"
    """The microphone was lost during the utterance."""


GROWTH_MS: Final = 500
"""Milliseconds of speech per write to the spool; a kill loses at most that much."""


@dataclass(frozen=True, slots=True)
class CapturedUtterance:
    """A complete utterance, as the backend gets it."""

    start: Samples
    """Position of the first sample, pre-roll included."""
    speech_start: Samples
    """Position at which the speech begins."""
    speech_end: Samples
    """Position of the first sample after the speech."""
    end: Samples
    """Position of the first sample after the utterance."""
    pcm: bytes
    """PCM16 little-endian, 16 kHz, one channel: every sample heard from ``start`` to ``end``."""
    reason: EndReason
    lost: Samples
    """Samples between ``start`` and ``end`` that never arrived (gaps)."""


class HeardFrame(NamedTuple):
    """One frame of the recent past."""

    frame: Frame
    """The frame as the models hear it."""
    sent: Frame
    """The same frame as the backend hears it."""
    speech: bool
    """Whether it may be speech, according to the speech gate."""


class RecentFrames:
    """The newest frames, from which an utterance may begin. Owned by the ear thread.

    Bound: a length in samples. Policy: the oldest frame goes, by design.
    """

    def __init__(self, length: int) -> None:
        self._frames: deque[HeardFrame] = deque(maxlen=-(-length // FRAME_SAMPLES))

    def append(self, heard: HeardFrame) -> None:
        """Add the next frame."""
        self._frames.append(heard)

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()

    def since(self, position: int) -> list[HeardFrame]:
        """Return the frames that hold sound from ``position`` on, oldest first."""
        return [heard for heard in self._frames if heard.frame.end > position]

    def models_hear(self, position: int) -> list[Frame]:
        """Return the same frames as the models hear them."""
        return [heard.frame for heard in self.since(position)]


class Collector:
    """Keeps the frames of the utterance in progress. Owned by the ear thread.

    A finished utterance is kept until ``forget``, because its sentence may continue.
    Bounded by the endpointer, which ends every utterance at the maximum length.
    """

    def __init__(self, growth_ms: int = GROWTH_MS) -> None:
        self._worth_it = frames(growth_ms)
        self._frames: list[Frame] = []
        self._shown = 0  # frames
        self._speech_start = Samples(0)

    def begin(self, speech_start: Samples, before: list[Frame]) -> None:
        """Start a new utterance with the frames ``before`` (from the pre-roll on, oldest first)."""
        self._speech_start = speech_start
        self._frames = list(before)
        self._shown = 0

    @property
    def start(self) -> Samples:
        """Position of the first sample; the utterance holds at least one frame."""
        return self._frames[0].start

    def resume(self) -> None:
        """Go on with the utterance that was finished: ``growth`` returns all of it again."""
        self._shown = 0

    def forget(self) -> None:
        """Drop the sound of a finished utterance."""
        self._frames = []

    def add(self, frame: Frame) -> None:
        """Append the next frame."""
        self._frames.append(frame)

    def growth(self) -> tuple[int, bytes] | None:
        """Return offset and sound since the last call, or None if below ``growth_ms``."""
        if self._shown and len(self._frames) - self._shown < self._worth_it:
            return None
        new = self._frames[self._shown :]
        offset = sum(len(frame.pcm) for frame in self._frames[: self._shown])
        self._shown = len(self._frames)
        return offset, b"".join(frame.pcm for frame in new)

    def finish(self, speech_end: Samples, reason: EndReason) -> CapturedUtterance:
        """Close the utterance, which holds at least one frame."""
        start, end = self._frames[0].start, self._frames[-1].end
        pcm = b"".join(frame.pcm for frame in self._frames)
        return CapturedUtterance(
            start=start,
            speech_start=self._speech_start,
            speech_end=speech_end,
            end=end,
            pcm=pcm,
            reason=reason,
            lost=Samples(end - start - len(pcm) // SAMPLE_BYTES),
        )
