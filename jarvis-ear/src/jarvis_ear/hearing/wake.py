"""Wake word: when a score is a detection, and where the word ended."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from numpy import fft  # loaded with us: numpy would load it when the first wake word is heard

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.events import WakeDetected
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, Samples, samples


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

    def __init__(self, wake: config.WakeOptions) -> None:
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


WORD_WINDOW: Final = samples(500)
"""The wake word ends at most this long before its detection (measured: 0 to 300 ms)."""

WORD_TAIL: Final = samples(100)
"""What may sound on after the wake word: the room's echo and the speech model's inertia."""

LEAST_SPEECH: Final = samples(160)
"""Less speech than this after the wake word is a click or its own echo, no command."""

LEAST_UNSURE: Final = samples(260)
"""The same when the word's end is unknown: some detections come 200 ms before the word is over."""

LONGEST_HISS: Final = samples(160)
"""A longer one has run into the first sound of the command ("Jarvis, stop")."""

HISS_CUT: Final = samples(60)
"""How far into its last sound the wake word is cut; a command that begins with s keeps its own."""

WINDOW: Final = 160
"""Samples looked at together: 10 ms."""

HISS_FROM_HZ: Final = 3500
"""Voiced sounds hold nearly all their energy below this; s and z above it."""

HISS_SHARE: Final = 0.6
"""Share of the energy above ``HISS_FROM_HZ`` that makes a window a hiss."""

HISS_WINDOWS: Final = 6
"""60 ms: shorter ones are the burst of a t or ch, not an s."""

BRIDGE_WINDOWS: Final = 2
"""Windows a hiss may lack in between."""

LOUDNESS_SHARE: Final = 0.003
"""Of the loudest window's energy (-25 dB): below it, it is the room that hisses."""

_FIRST_BIN: Final = HISS_FROM_HZ * WINDOW // SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class WordEnd:
    """What is known about the end of a wake word that was just detected."""

    cut: Samples | None
    """Where an utterance may begin at the earliest: inside the word's last sound. None: unknown."""
    at: Samples
    """Position of the detection."""
    silence_from: Samples
    """From here on, speech is no longer the wake word."""

    least_speech: Samples
    """Speech that makes a command when it follows in one breath."""

    def least(self, speech_start: Samples) -> Samples:
        """Speech that makes a command of an utterance noticed at ``speech_start``."""
        return self.least_speech if self._in_one_breath(speech_start) else LEAST_SPEECH

    def first_sample(self, speech_start: Samples, pre_roll: Samples) -> Samples:
        """Where the utterance whose speech was noticed at ``speech_start`` begins."""
        start = Samples(speech_start - pre_roll)
        if self._in_one_breath(speech_start):  # it began before we could tell it from the word
            start = min(start, Samples(self.at - WORD_WINDOW))
        return start if self.cut is None else max(start, self.cut)

    def _in_one_breath(self, speech_start: Samples) -> bool:
        return speech_start <= self.silence_from + FRAME_SAMPLES


NO_WORD: Final = WordEnd(None, Samples(-1), Samples(-FRAME_SAMPLES - 1), LEAST_SPEECH)
"""Speech that needs no wake word follows none."""


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
    """Where one sample of the sound of ``frames`` stands in the stream, gaps counted."""
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
