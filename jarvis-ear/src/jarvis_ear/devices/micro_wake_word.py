"""MicroWakeWord: small wake-word networks that decide whether openWakeWord has to run at all."""

import importlib
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from jarvis_ear.devices.openwakeword import (
    EMBEDDING_HISTORY,
    MEL_FRAMES,
    MEL_HISTORY,
    MEL_PER_STEP,
    OpenWakeWord,
)
from jarvis_ear.errors import ConfigError
from jarvis_ear.hearing.wake import SecondLook
from jarvis_ear.units import SAMPLE_BYTES, STEP_SAMPLES

SMALL_WORDS: Final = ("hey_jarvis", "alexa", "hey_mycroft")
"""Names of the wake words for which both packages ship a model."""

AWAKE_STEPS: Final = 8
"""Steps, 640 ms, that openWakeWord runs after the small network has heard the word. Its score
comes up to 500 ms later than that of the small one."""

_STEP_BYTES: Final = STEP_SAMPLES * SAMPLE_BYTES

HISTORY_STEPS: Final = max(
    EMBEDDING_HISTORY + math.ceil(MEL_FRAMES / MEL_PER_STEP), math.ceil(MEL_HISTORY / MEL_PER_STEP)
)
"""Steps after which openWakeWord's scores do not depend on earlier sound."""


class SmallModel:
    """A network of microWakeWord for one word; 0.13 ms a step. Lives in the ear thread.

    Raises ConfigError if there is none for the word.
    """

    def __init__(self, word: str) -> None:
        if word not in SMALL_WORDS:
            raise ConfigError(
                f"hearing.wake.effort: there is no small model of {word}, expected "
                f'effort = "best" or one of the words {", ".join(SMALL_WORDS)}'
            )
        try:
            package = importlib.import_module("pymicro_wakeword")  # loads its library
            self._features: Any = package.MicroWakeWordFeatures()
            self._network: Any = package.MicroWakeWord.from_builtin(package.Model(word))
        except (ImportError, OSError, ValueError) as error:
            raise ConfigError(
                f"hearing.wake.effort: the package pymicro-wakeword cannot be used: {error}"
            ) from error
        self._awake_for = 0

    def reset(self) -> None:
        """Forget the sound so far; 0.1 ms, because the package loads the network again."""
        self._features.reset()
        self._network.reset()
        self._awake_for = 0

    def hears(self, step: bytes) -> bool:
        """Add one step of PCM16; return whether the word may be in it or shortly before.

        Any output above zero counts: it is the mean of the last five outputs of the network.
        """
        outputs = map(self._network.process_streaming_prob, self._features.process_streaming(step))
        self._awake_for = AWAKE_STEPS if max(outputs, default=0.0) > 0 else self._awake_for - 1
        return self._awake_for > 0


class LightWakeModel:
    """A ``WakeModel`` that runs openWakeWord only where a small model may have heard the word.

    Where openWakeWord runs, its scores are the same as if it always ran; elsewhere they are 0.
    Lives in the ear thread. Bound: ``HISTORY_STEPS`` before the last steps wait for openWakeWord.
    """

    def __init__(self, words: Sequence[str], large: OpenWakeWord) -> None:
        self._large = large
        self._small = [SmallModel(word) for word in words]
        self.reset()

    def twin(self) -> OpenWakeWord:
        """Return a detector for another stream of sound; that of the loudspeaker is short."""
        return self._large.twin()

    def reset(self) -> None:
        """Forget the sound so far: the history becomes digital silence."""
        self._large.reset()
        for small in self._small:
            small.reset()
        self._waiting: deque[bytes] = deque()  # what openWakeWord has not heard
        self._is_cut = False  # sound is missing between that and what it has heard
        self._is_scored = False  # the last steps
        self._awake: list[list[bool]] = [[] for _ in self._small]  # of the last steps, by word
        self._first = 0  # index of the first of the last steps, for the large model

    def score(self, pcm: bytes) -> list[float]:
        """Process whole steps (n x 2 560 bytes of PCM16); return a score of word 0 for each."""
        steps = [pcm[at : at + _STEP_BYTES] for at in range(0, len(pcm), _STEP_BYTES)]
        self._awake = [[small.hears(step) for step in steps] for small in self._small]
        self._waiting.extend(steps)
        while len(self._waiting) > HISTORY_STEPS + len(steps):
            self._waiting.popleft()
            self._is_cut = True
        self._is_scored = False
        return self.score_word(0)

    def score_word(self, word: int) -> list[float]:
        """Return the scores of a word for the steps of the last ``score``."""
        awake = self._awake[word]
        if not any(awake):
            return [0.0] * len(awake)
        return self._masked(awake, lambda: self._large.score_word(word))

    def look_again(self, step: int, word: int = 0) -> SecondLook:
        """Score a step again, see ``WakeModel``; a step that openWakeWord did not score has 0."""
        if not self._awake[word][step]:
            return SecondLook(0.0, None)
        self._catch_up()
        return self._large.look_again(self._first + step, word)

    def score_stop(self) -> list[float]:
        """Return the scores of the stop word, which has no small model, for the same steps."""
        self._catch_up()
        return self._large.score_stop()[self._first :]

    def _masked(self, awake: list[bool], scores: Callable[[], list[float]]) -> list[float]:
        self._catch_up()
        found = scores()[self._first :]
        return [score if is_awake else 0.0 for score, is_awake in zip(found, awake, strict=True)]

    def _catch_up(self) -> None:
        """Have the large model score what waits for it; 2 ms a step."""
        if self._is_scored:
            return
        if self._is_cut:
            self._large.reset()
        self._large.score(b"".join(self._waiting))
        self._first = len(self._waiting) - len(self._awake[0])
        self._waiting.clear()
        self._is_cut, self._is_scored = False, True
