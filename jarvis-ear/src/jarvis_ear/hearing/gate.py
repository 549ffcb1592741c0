"""The gate in front of the wake model: it decides which steps the model hears.

The model is a streaming one: fed only the frames that somebody called speech, it hears spliced
sound, misses words and fires late. So the gate hands over whole stretches: a lookback from before
the speech, then everything until a hangover after it. Between stretches the model rests, and a new
stretch begins with the model reset: otherwise the end of the last word would fire again.
"""

from collections import deque
from typing import Final

from jarvis_ear import config
from jarvis_ear.audio.frame import Frame
from jarvis_ear.units import FRAME_SAMPLES, STEP_FRAMES, Samples, frames, samples

LEAST_HANGOVER: Final = Samples(FRAME_SAMPLES)
"""With less the gate would close between two frames of speech."""


class Gate:
    """Groups frames into steps and holds back what nobody needs to hear. Lives in the ear thread.

    The recent frames are bounded by the lookback; older ones are forgotten, which is the purpose.
    """

    def __init__(self, gate: config.Gate) -> None:
        self._always = gate.mode == "always"
        lookback_steps = -(-frames(gate.lookback_ms) // STEP_FRAMES)
        self._recent: deque[Frame] = deque(maxlen=lookback_steps * STEP_FRAMES)
        self._hangover = max(samples(gate.hangover_ms), LEAST_HANGOVER)
        self._open_until: Samples | None = None
        self._step: list[Frame] = []

    @property
    def is_open(self) -> bool:
        """Whether the model hears what comes in."""
        return self._open_until is not None

    def close(self) -> None:
        """Forget everything: the sound before now has nothing to do with what follows (a gap)."""
        self._recent.clear()
        self._step.clear()
        self._open_until = None

    def push(self, frame: Frame, *, speech: bool) -> tuple[Frame, ...]:
        """Take in a frame; give the frames of the steps that the model has to hear now, if any."""
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
        return tuple(self._recent)[-whole:]  # steps that end with the onset: it waits for nothing

    def _pass(self, frame: Frame, until: Samples) -> tuple[Frame, ...]:
        self._step.append(frame)
        if len(self._step) < STEP_FRAMES:
            return ()
        step = tuple(self._step)
        self._step.clear()
        if frame.end >= until:
            self._open_until = None
        return step
