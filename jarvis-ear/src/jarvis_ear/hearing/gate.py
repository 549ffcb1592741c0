"""Gate: selects the frames for the wake model. Also the protocols of the speech models."""

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.units import FRAME_SAMPLES, STEP_FRAMES, Samples, frames, samples


class SpeechGate(Protocol):
    """A cheap speech detector: fast, with many false positives in noise."""

    def is_speech(self, pcm: bytes) -> bool:
        """Whether one frame (640 bytes of PCM16) may be speech."""


class SpeechModel(Protocol):
    """A streaming model that tells speech from noise, at a higher cost.

    It need not be in memory all the time: it loads itself when it is needed.
    """

    def load(self) -> None:
        """Load the model now, because it will be needed soon. Idempotent."""

    def unload(self) -> None:
        """Free the memory of the model: it will not be needed soon. Its state stays. Idempotent."""

    def reset(self) -> None:
        """Clear the state."""

    def probability(self, pcm: bytes, gain: float) -> float:
        """Add one frame (640 bytes of PCM16), and return the probability of speech, 0 ... 1.

        ``gain`` multiplies the samples first: such models do not detect very quiet speech.
        """


@dataclass(frozen=True, slots=True)
class Evidence:
    """Measurements of one frame while an utterance is awaited or open."""

    speech: bool
    """Result of the speech gate."""
    probability: float
    """Result of the speech model, 0 ... 1."""
    level: float
    """Mean square of the samples (0 ... 2**30): compared, never shown, so it needs no logarithm."""


LEAST_HANGOVER: Final = Samples(FRAME_SAMPLES)
"""With less, the gate would close between two frames of speech."""


class Gate:
    """Groups frames into steps and holds them back without speech. Owned by the ear thread.

    Bound: the lookback; older frames are dropped by design.
    """

    def __init__(self, gate: config.GateOptions) -> None:
        self._always = gate.mode == "always"
        lookback_steps = -(-frames(gate.lookback_ms) // STEP_FRAMES)
        self._recent: deque[Frame] = deque(maxlen=lookback_steps * STEP_FRAMES)
        self._hangover = max(samples(gate.hangover_ms), LEAST_HANGOVER)
        self._open_until: Samples | None = None
        self._step: list[Frame] = []

    @property
    def is_open(self) -> bool:
        """Whether frames go to the model."""
        return self._open_until is not None

    def close(self) -> None:
        """Drop all frames: after a gap, the next one does not continue them."""
        self._recent.clear()
        self._step.clear()
        self._open_until = None

    def push(self, frame: Frame, *, speech: bool) -> tuple[Frame, ...]:
        """Add a frame; return the frames of the steps that the model has to process now, if any."""
        self._recent.append(frame)
        was_open = self.is_open
        if speech or self._always:
            self._open_until = Samples(frame.end + self._hangover)
        if self._open_until is None:
            return ()
        return self._pass(frame, self._open_until) if was_open else self._open()

    def _open(self) -> tuple[Frame, ...]:
        whole = len(self._recent) // STEP_FRAMES * STEP_FRAMES
        if not whole:
            self._step = list(self._recent)
            return ()
        return tuple(self._recent)[-whole:]  # the last one ends at the onset: no delay

    def _pass(self, frame: Frame, until: Samples) -> tuple[Frame, ...]:
        self._step.append(frame)
        if len(self._step) < STEP_FRAMES:
            return ()
        step = tuple(self._step)
        self._step.clear()
        if frame.end >= until:
            self._open_until = None
        return step
