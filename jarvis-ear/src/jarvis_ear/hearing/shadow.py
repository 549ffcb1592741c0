"""Shadow threshold: what a second threshold would have done, without waking the ear."""

from typing import Final

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.events import ShadowDiffered
from jarvis_ear.hearing.wake import WakeDecider, WakeJudgement
from jarvis_ear.units import Samples, samples

WAIT: Final = samples(1500)
"""Time after the first decision in which the other threshold may agree: the score of a word rises
within 0.5 s, and patience takes up to 0.8 s more."""


class ShadowThreshold:
    """Compares the decisions of two thresholds about the same scores. Owned by the ear thread.

    Patience and refractory time are the same for both. Of several wake words, it judges the
    likeliest one.
    """

    def __init__(self, wake: config.WakeOptions) -> None:
        self._decider: WakeDecider | None = None
        if wake.shadow_threshold:
            choice = {"threshold": wake.shadow_threshold, "patience": wake.patience}
            word = config.HEY_JARVIS.model_copy(update=choice)
            self._decider = WakeDecider(word, wake.refractory_ms)
        self.forget()

    def forget(self) -> None:
        """Drop the decision in progress: the ear is muted, or deaf."""
        self.restart()
        self._began_at: Samples | None = None  # of the first decision; None: there is none
        self._best = 0.0
        self._woke = self._would_wake = False

    def restart(self) -> None:
        """Clear the run of steps: a reset of the model ends it."""
        if self._decider is not None:
            self._decider.restart()

    def judge(self, judgement: WakeJudgement) -> None:
        """Note the judgement of a step."""
        if self._decider is None:
            return
        score, at, woke = judgement.score, judgement.at, judgement.detected is not None
        would_wake = self._decider.decide(score, at)
        if self._began_at is None:
            if not (woke or would_wake):
                return
            self._began_at, self._best = at, score
        self._woke |= woke
        self._would_wake |= would_wake
        self._best = max(self._best, score)

    def hear(self, frame: Frame) -> tuple[ShadowDiffered, ...]:
        """Note the next frame; return the difference that is certain with it, if there is one."""
        began_at = self._began_at
        if began_at is None or frame.end - began_at < WAIT:
            return ()
        differed = ShadowDiffered(began_at, self._best, self._woke)
        is_other = self._woke is not self._would_wake
        self._began_at, self._woke, self._would_wake = None, False, False
        return (differed,) if is_other else ()
