"""From scores to detections: threshold, patience, refractory period.

A detector re-arms when its score has fallen: one long word is one detection. The warm-up (scores
that are of the model's history and not of the room) is the model's to spend before it gives one.
"""

from typing import Protocol

from jarvis_ear import config
from jarvis_ear.hearing.events import WakeDetected
from jarvis_ear.units import Samples, samples


class WakeModel(Protocol):
    """A streaming wake-word model: each score depends on the steps before it.

    A new one, and one that was reset, has heard enough silence for its first score to count.
    """

    def reset(self) -> None:
        """Forget the sound so far, as if there had been silence."""

    def score(self, pcm: bytes) -> list[float]:
        """Take in whole steps (n x 2 560 bytes of PCM16) and give one score of 0 ... 1 for each."""


class WakeDecider:
    """Says when the wake word counts as heard. Lives in the ear thread."""

    def __init__(self, wake: config.Wake) -> None:
        self._threshold = wake.threshold
        self._patience = wake.patience
        self._refractory = samples(wake.refractory_ms)
        self._run = 0
        self._fallen = True
        self._quiet_until = Samples(0)

    def restart(self) -> None:
        """Forget the run of steps: it does not go on across a reset of the model."""
        self._run = 0
        self._fallen = True

    def decide(self, score: float, at: Samples) -> WakeDetected | None:
        """Judge the score of the step that ends at ``at``."""
        if score < self._threshold:
            self.restart()
            return None
        self._run += 1
        if self._run < self._patience or not self._fallen or at < self._quiet_until:
            return None
        self._fallen = False
        self._quiet_until = Samples(at + self._refractory)
        return WakeDetected(at, score)
