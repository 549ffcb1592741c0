"""Wake detector: which steps the wake model scores, and when they are the wake word."""

from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.events import WakeDetected
from jarvis_ear.hearing.gate import Gate
from jarvis_ear.hearing.wake import (
    SecondLook,
    WakeDecider,
    WakeJudgement,
    WakeModel,
    judged_score,
)
from jarvis_ear.units import SAMPLE_BYTES, STEP_FRAMES, STEP_SAMPLES, Samples, samples

PROOF_S: Final = 60
"""Seconds of sound between two tests of the wake model while the gate is closed."""

PROOF: Final = samples(1000 * PROOF_S)

RETRY: Final = samples(5000)
"""The same while the last score was invalid, or there was none yet."""

NEAR_ZERO: Final = 0.005
"""Score below which the next steps may wait for each other. Measured: 95 % of the steps of people
who talk are below."""

MAX_WAITING_STEPS: Final = 3
"""Steps that are scored together at most: a detection may be 160 ms late, at the same sample."""

LOOK_AGAIN: Final = 0.02
"""Score from which a step gets a second look, and so does the step after it, whose sound has the
cuts on the other side. Measured: 0.2 % of the steps of a meeting, 0.05 % of other talk. With 0.1
instead, 1 to 3 of 100 words in noise are missed."""

RISEN: Final = 0.5
"""Score of the wake model until which the verifier's word counts later: it knows the wake word
before its end, and the rest of the word would be taken for a command."""

HELD_STEPS: Final = 2
"""Steps until it counts, 160 ms, unless the score rises before. Of 40 wake words alone, some among
noise, 8 are followed by a capture without speech with 0, 5 with 1, and 3 with 2."""

_Found: TypeAlias = tuple[float, SecondLook | None]
_NOTHING: Final[_Found] = (0.0, None)
_QUIET_STEP: Final = bytes(STEP_SAMPLES * SAMPLE_BYTES)


class WakeDetector:
    """Has the wake model score what may be speech. Owned by the ear thread.

    Bound: ``MAX_WAITING_STEPS`` and the lookback of the gate wait for their score.
    """

    def __init__(self, hearing: config.HearingOptions, model: WakeModel) -> None:
        self._gate = Gate(hearing.gate)
        self._model = model
        words = enumerate(hearing.wake.all_words)
        refractory_ms = hearing.wake.refractory_ms
        self._words = [_WordJudge(model, index, word, refractory_ms) for index, word in words]
        self._unscored: tuple[Frame, ...] = ()  # whole steps
        self._score = 0.0
        self._is_quiet = True  # nothing like the wake word in the newest step
        self._now = Samples(0)
        self._proved_at = Samples(0)
        self._is_proved = False
        self.proofs = 0
        """Number of valid scores from the wake model."""

    @property
    def score(self) -> float:
        """Score of the newest step; 0 while the gate is closed."""
        return self._score if self._gate.is_open else 0.0

    @property
    def gate_is_open(self) -> bool:
        """Whether frames go to the wake model."""
        return self._gate.is_open

    @property
    def is_near(self) -> bool:
        """Whether a wake word may be near its end."""
        return self._gate.is_open and not self._is_quiet

    @property
    def needs_proof(self) -> bool:
        """Whether the model must be tested: it has scored nothing for ``PROOF`` or ``RETRY``."""
        wait = PROOF if self._is_proved else RETRY
        is_idle = not self._gate.is_open and not self._unscored
        return is_idle and self._now - self._proved_at >= wait

    def reset(self) -> None:
        """Drop all sound: after a gap or a mute, the next frame does not continue it."""
        self._gate.close()
        self._unscored = ()
        self._score = 0.0
        self._is_quiet = True

    def hear(self, frame: Frame, *, speech: bool, may_wait: bool) -> tuple[WakeJudgement, ...]:
        """Add a frame; return the judgements of the steps that were scored now, oldest first.

        ``speech``: the word of the speech gate. With ``may_wait``, steps may be scored together
        with later ones, which costs less, unless a wake word may be near its end.
        """
        self._now = frame.end
        was_open = self._gate.is_open
        stretch = self._gate.push(frame, speech=speech)
        if self._gate.is_open and not was_open:
            self._model.reset()
            for word in self._words:
                word.restart()
        self._unscored += stretch
        is_short = 0 < len(self._unscored) < MAX_WAITING_STEPS * STEP_FRAMES
        may_wait = may_wait and self._is_quiet and self._gate.is_open
        return () if may_wait and is_short else self.flush()

    def flush(self) -> tuple[WakeJudgement, ...]:
        """Score the steps that wait, and return their judgements, oldest first."""
        steps, self._unscored = self._unscored, ()
        if not steps:
            return ()
        scores = [self._model.score(b"".join(frame.pcm for frame in steps))]
        scores += [self._model.score_word(word) for word in range(1, len(self._words))]
        ends = [frame.end for frame in steps[STEP_FRAMES - 1 :: STEP_FRAMES]]
        of_steps = list(zip(*scores, strict=True))
        judged = [self._judge(*each) for each in zip(range(len(ends)), of_steps, ends, strict=True)]
        self._score = judged[-1].score
        self._is_quiet = not any(score >= NEAR_ZERO for score in of_steps[-1])
        return tuple(judged)

    def stop_scores(self) -> list[float]:
        """Return the scores of the stop word for the steps of the last judgements, if it is one."""
        return self._model.score_stop()

    def prove(self, now: Samples) -> None:
        """Score one step of silence with an idle model. It is reset when the gate opens."""
        self._now = now
        self._model.reset()
        self._count_proof(self._model.score(_QUIET_STEP))

    def _judge(self, step: int, scores: tuple[float, ...], at: Samples) -> WakeJudgement:
        """Return the judgement of the word that was detected, or else of the likeliest one."""
        self._count_proof(scores)
        judged = [
            word.judge(step, score, at) for word, score in zip(self._words, scores, strict=True)
        ]
        best = max(judged, key=lambda each: (each.detected is not None, each.score))
        if best.detected is not None:
            for word in self._words:
                word.pause(at)
        return best

    def _count_proof(self, scores: Sequence[float]) -> None:
        self._proved_at = self._now
        self._is_proved = all(0 <= score <= 1 for score in scores)  # NaN does not count
        self.proofs += self._is_proved


class _WordJudge:
    """Judges the scores of one word. Owned by the ear thread."""

    def __init__(
        self, model: WakeModel, index: int, word: config.WakeWord, refractory_ms: int
    ) -> None:
        self._model = model
        self._index = index
        self._word = word
        self._decider = WakeDecider(word, refractory_ms)
        self._was_near = False
        self._forget_held()

    def restart(self) -> None:
        """Clear what earlier steps left: the model was reset."""
        self._decider.restart()
        self._was_near = False
        self._forget_held()

    def pause(self, at: Samples) -> None:
        """Detect nothing for the refractory time: some word was detected at ``at``."""
        self._decider.pause(at)

    def judge(self, step: int, score: float, at: Samples) -> WakeJudgement:
        """Judge the score of the step that ends at ``at``."""
        was_near, self._was_near = self._was_near, score >= LOOK_AGAIN
        is_near = was_near or self._was_near
        look = self._model.look_again(step, self._index) if is_near else None
        score, look = self._settled(score, look)
        is_wake = self._decider.decide(score, at)
        again, verifier = look or (None, None)
        detected = WakeDetected(at, score, again, verifier, word=self._word) if is_wake else None
        return WakeJudgement(at, score, look, self._word, detected)

    def _settled(self, score: float, look: SecondLook | None) -> _Found:
        """Return what counts at this step: it, or an earlier one whose word was not over."""
        due = self._held.popleft()
        self._held.append(_NOTHING)
        if look is None:
            return due if due[0] > score else (score, None)
        now = judged_score(score, look), look
        if look.verifier is not None and max(score, look.score) < RISEN:
            self._held[-1] = now
            return due
        best = max(now, due, *self._held, key=lambda each: each[0])
        self._forget_held()
        return best

    def _forget_held(self) -> None:
        self._held = deque([_NOTHING] * HELD_STEPS)
