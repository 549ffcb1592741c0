"""Wake word: detection from scores, the position of the word's end, and its level."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from numpy import fft  # at import: numpy would load it at the first wake word

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.events import WakeDetected
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, Samples, samples


class SecondLook(NamedTuple):
    """What a second look at a step finds."""

    score: float
    """Best score, 0 ... 1, with the steps cut 20, 40 and 60 ms earlier."""
    verifier: float | None
    """Highest output of the verifier for any cut and the three steps before: the logarithm of the
    odds that it is the wake word. None: the model has no verifier."""


class WakeModel(Protocol):
    """A streaming wake-word model: each score depends on the previous steps.

    A new or reset model has heard enough silence for its first score to count. It knows one or more
    words, numbered from 0.
    """

    def reset(self) -> None:
        """Clear the state, as if there had been silence."""

    def score(self, pcm: bytes) -> list[float]:
        """Add whole steps (n x 2 560 bytes of PCM16); return a score of word 0 for each."""

    def score_word(self, word: int) -> list[float]:
        """Return the scores of another word for the steps of the last ``score``."""

    def look_again(self, step: int, word: int) -> SecondLook:
        """Score a step again, with its sound cut elsewhere, and have it verified.

        ``step``: index in the result of the last ``score``. A score may change by half and more
        with the place where the steps are cut.
        """

    def score_stop(self) -> list[float]:
        """Return the scores of the stop word for the same steps; empty: no such model is set."""


@dataclass(frozen=True, slots=True)
class WakeJudgement:
    """Result of one step."""

    at: Samples
    """First sample after the step."""
    score: float
    """Score that is compared with the threshold, 0 ... 1, see ``judged_score``. NaN if the model
    failed."""
    look: SecondLook | None
    """The second look; None if there was none."""
    word: config.WakeWord
    """The word whose score it is: of several words, the one with the highest score."""
    detected: WakeDetected | None
    """The detection, if it is the wake word."""


VERIFIER_ZERO: Final = 1.5
"""Output of the verifier that leaves the score as it is; a higher one raises the score. With 1.0,
the residual echo of a reply woke the ear in 1 of 24 replies."""

VERIFIER_SLOPE: Final = 1.5
"""Weight of the score, as the logarithm of its odds, against the output of the verifier. Measured
with 1 to 3: 1 loses words that the score alone finds, 3 wakes as often on "jarvis" alone."""

LEAST_ODDS, MOST_ODDS = 1e-5, 0.95
"""Range of the scores that are verified. No score is so high that the verifier has no veto: with
0.98 it wakes on 5 of 100 words that sound alike more, with 0.9 it hears 1 of 100 words less."""


def judged_score(score: float, look: SecondLook) -> float:
    """Return the score of a step after its second look, 0 ... 1.

    It is the higher score of both looks, raised or lowered by the verifier if there is one. NaN in
    the second look is ignored. Measured on 126 words in each of 8 rooms, cut at 4 places: 0.5 finds
    97, 91, 73, 76 and 87 of 100 in clean sound, household noise, babble and television of 10 dB and
    reverberation of 0.8 s, where the score alone finds 94, 83, 58, 66 and 75.
    """
    score = max(score, look.score)
    if look.verifier is None or not math.isfinite(look.verifier):
        return score
    odds = min(max(score, LEAST_ODDS), MOST_ODDS)
    sum_of_both = math.log(odds / (1 - odds)) + (look.verifier - VERIFIER_ZERO) / VERIFIER_SLOPE
    return 1 / (1 + math.exp(-sum_of_both))


class WakeDecider:
    """Decides when a word is detected. Owned by the ear thread."""

    def __init__(self, word: config.WakeWord, refractory_ms: int) -> None:
        """``word``: one of ``WakeOptions.all_words``, whose numbers are filled in."""
        self._threshold = word.threshold
        self._patience = word.patience
        self._refractory = samples(refractory_ms)
        self._run = 0
        self._fallen = True
        self._quiet_until = Samples(0)

    def restart(self) -> None:
        """Clear the run of steps: a reset of the model ends it."""
        self._run = 0
        self._fallen = True

    def decide(self, score: float, at: Samples) -> bool:
        """Whether the step that ends at ``at`` is a detection; NaN is not the wake word."""
        if not score >= self._threshold:
            self.restart()
            return False
        self._run += 1
        if self._run < self._patience or not self._fallen or at < self._quiet_until:
            return False
        self._fallen = False
        self.pause(at)
        return True

    def pause(self, at: Samples) -> None:
        """Detect nothing for the refractory time from ``at`` on: a word was detected there."""
        self._quiet_until = Samples(at + self._refractory)


WORD_WINDOW: Final = samples(500)
"""Maximum time from the end of the wake word to its detection (measured: 0 to 300 ms)."""

WORD_TAIL: Final = samples(100)
"""Time after the wake word for the echo of the room and the inertia of the speech model."""

LEAST_SPEECH: Final = samples(160)
"""Minimum speech after the wake word; less is a click or an echo, not a command."""

LEAST_STOP: Final = samples(120)
"""The same over a reply, apart from the wake word: a bare "stop" has as little. Measured with four
voices: 0 of 112 are lost, with ``LEAST_SPEECH`` 5."""

LONGEST_WORD: Final = samples(1500)
"""Maximum speech of an utterance that is only the wake word, until its detection."""

LEAST_UNSURE: Final = samples(260)
"""The same if the end of the word is unknown: some detections come 200 ms before it."""

LONGEST_HISS: Final = samples(160)
"""Maximum hiss; a longer one includes the first sound of the command ("Jarvis, stop")."""

HISS_CUT: Final = samples(60)
"""Where in its last sound the wake word is cut; a command that begins with s keeps its s."""

WINDOW: Final = 160
"""Samples per window: 10 ms."""

HISS_FROM_HZ: Final = 3500
"""Voiced sounds have nearly all their energy below this frequency; s and z above it."""

HISS_SHARE: Final = 0.6
"""Share of the energy above ``HISS_FROM_HZ`` from which a window is a hiss."""

HISS_WINDOWS: Final = 6
"""Minimum windows of a hiss, 60 ms: shorter ones are the burst of a t or ch, not an s."""

BRIDGE_WINDOWS: Final = 2
"""Maximum windows without a hiss inside a run."""

LOUDNESS_SHARE: Final = 0.003
"""Share of the loudest window's energy (-25 dB) below which a hiss is noise of the room."""

_FIRST_BIN: Final = HISS_FROM_HZ * WINDOW // SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class WordEnd:
    """Position of the end of a wake word that was just detected."""

    cut: Samples | None
    """Earliest start of an utterance, inside the last sound of the word. None: unknown."""
    at: Samples
    """Position of the detection."""
    silence_from: Samples
    """Position from which speech is no longer the wake word."""

    least_speech: Samples
    """Minimum speech of a command that follows without a pause."""

    def least(self, speech_start: Samples, apart: Samples = LEAST_SPEECH) -> Samples:
        """Return the minimum speech of an utterance whose speech starts at ``speech_start``.

        It is ``apart`` if the speech does not follow the wake word in one breath.
        """
        return self.least_speech if self._in_one_breath(speech_start) else apart

    def first_sample(self, speech_start: Samples, pre_roll: Samples) -> Samples:
        """Return the first sample of the utterance whose speech starts at ``speech_start``."""
        start = Samples(speech_start - pre_roll)
        if self._in_one_breath(speech_start):  # it may have begun before the detection
            start = min(start, Samples(self.at - WORD_WINDOW))
        return start if self.cut is None else max(start, self.cut)

    def _in_one_breath(self, speech_start: Samples) -> bool:
        return speech_start <= self.silence_from + FRAME_SAMPLES


NO_WORD: Final = WordEnd(None, Samples(-1), Samples(-FRAME_SAMPLES - 1), LEAST_SPEECH)
"""For speech that needs no wake word."""


def find_word_end(before: list[Frame], at: Samples) -> WordEnd:
    """Find the end of the wake word in the frames ``before`` its detection at ``at``."""
    found = hiss(b"".join(frame.pcm for frame in before))
    if found is None:
        return WordEnd(None, at, at, LEAST_UNSURE)
    start, end = _position(before, found[0]), _position(before, found[1] - 1) + 1
    if end + WINDOW >= at or end > start + LONGEST_HISS:
        end = start + LONGEST_HISS
    return WordEnd(Samples(start + HISS_CUT), at, Samples(end + WORD_TAIL), LEAST_SPEECH)


def _position(frames: list[Frame], sample: int) -> int:
    """Return the position in the stream of one sample of ``frames``, gaps counted."""
    return frames[sample // FRAME_SAMPLES].start + sample % FRAME_SAMPLES


def hiss(pcm: bytes) -> tuple[int, int] | None:
    """Find the first s-like sound in PCM16 at 16 kHz: its first sample and the one after it."""
    windows = len(pcm) // 2 // WINDOW
    if windows < HISS_WINDOWS:
        return None
    sound = np.frombuffer(pcm, np.int16)[: windows * WINDOW].reshape(windows, WINDOW)
    return _first_run(_hissing(sound.astype(np.float32)))


def _hissing(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    power = np.abs(fft.rfft(sound * np.hanning(WINDOW).astype(np.float32), axis=1)) ** 2
    total = power[:, 1:].sum(axis=1)
    share = power[:, _FIRST_BIN:].sum(axis=1) / np.maximum(total, 1.0)
    result: npt.NDArray[np.bool_] = (share >= HISS_SHARE) & (total >= LOUDNESS_SHARE * total.max())
    return result


def _first_run(hissing: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
    hits = np.flatnonzero(hissing)
    if not len(hits):
        return None
    for run in np.split(hits, np.flatnonzero(np.diff(hits) > BRIDGE_WINDOWS + 1) + 1):
        if len(run) >= HISS_WINDOWS:
            return int(run[0]) * WINDOW, int(run[-1] + 1) * WINDOW
    return None
