"""Near misses: stretches of sound that were nearly the wake word, and how loud words were."""

import math
from collections import deque
from dataclasses import replace
from typing import Final

from jarvis_ear.audio.frames import Frame
from jarvis_ear.audio.level import FULL_SCALE, SILENCE, NoiseFloor, level
from jarvis_ear.hearing.events import NearMiss, State, WakeDetected, WordSound
from jarvis_ear.hearing.person_level import loudest
from jarvis_ear.hearing.wake import WakeJudgement
from jarvis_ear.units import SAMPLE_RATE, Dbfs, Samples, frames, samples

LEAST_SCORE: Final = 0.2
"""Best score from which a stretch counts. Measured in fourteen rooms: of 299 missed words 39 %
score 0.3 to 0.5, where the threshold is, 22 % 0.1 to 0.3, and the rest less."""

STRETCH_GAP: Final = samples(1000)
"""Time without such a score after which a stretch has ended: the word and its echo are one."""

LONGEST_STRETCH: Final = samples(4000)
"""Maximum length of a stretch; two words that are missed in a row are two near misses."""

WORD_MS: Final = 1500
"""Sound before a score in which the word is: its window is 1.3 s long."""

_NEEDS_NO_WORD: Final = (State.LISTENING, State.CAPTURING, State.FOLLOW_UP)


class NearMisses:
    """Finds near misses in the scores of the wake model. Owned by the ear thread.

    A stretch of scores from ``LEAST_SCORE`` on in which the wake word was detected is none, nor one
    that begins while the ear listens anyway. Levels are those of the sound as the microphone
    delivers it, the sound of the loudspeaker included.
    """

    def __init__(self) -> None:
        self._recent: deque[Frame] = deque(maxlen=frames(WORD_MS))
        self._floor = NoiseFloor()
        self._second = -1
        self._began_at: Samples | None = None  # of the stretch; None: there is none
        self._last_at = Samples(0)
        self._best: NearMiss | None = None  # None: the stretch is no near miss

    def hear(self, frame: Frame) -> tuple[NearMiss, ...]:
        """Note the next frame; return the near miss that ends with it, if one does."""
        self._recent.append(frame)
        if (second := frame.start // SAMPLE_RATE) != self._second:
            self._second = second
            self._floor.hear(level(frame.pcm).rms)
        began_at = self._began_at
        if began_at is None:
            return ()
        is_over = frame.end - self._last_at >= STRETCH_GAP
        if not is_over and frame.end - began_at < LONGEST_STRETCH:
            return ()
        missed, self._best, self._began_at = self._best, None, None
        return () if missed is None else (missed,)

    def judge(self, judgement: WakeJudgement, state: State) -> None:
        """Note the judgement of a step."""
        score, at = judgement.score, judgement.at
        if not score >= LEAST_SCORE:
            return
        is_first = self._began_at is None
        if is_first:
            self._began_at = at
        self._last_at = at
        best = self._best
        if judgement.detected is not None or (is_first and state in _NEEDS_NO_WORD):
            self._best = None
        elif is_first or (best is not None and score > best.score):
            self._best = NearMiss(at, score, self._measure(), judgement.word)

    def measured(self, detected: WakeDetected) -> WakeDetected:
        """Return the detection with the level of the word and the noise of the room."""
        return replace(detected, sound=self._measure())

    def forget(self) -> None:
        """Drop all sound, and the stretch in progress: the ear is muted, or deaf."""
        self._recent.clear()
        self._best = self._began_at = None

    def _measure(self) -> WordSound:
        """Measure the newest sound, which holds the word."""
        heard = list(self._recent)
        loud = 10 * math.log10(2 * loudest(heard) / FULL_SCALE**2)
        clipped = level(b"".join(frame.pcm for frame in heard)).clipped
        share = clipped / max(1, sum(len(frame.pcm) // 2 for frame in heard))
        return WordSound(Dbfs(max(SILENCE, loud)), self._floor.level, share)
