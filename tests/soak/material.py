"""What a home sounds like: quiet, noise, talk that is not for us, and sentences that are."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from fakes.recordings import Pcm as Sound
from fakes.recordings import recording

RATE: Final = 16_000

SENTENCES: Final = (
    "hey-jarvis-what-time-is-it",
    "light-rms",
    "music-kal",
    "one-breath-slt",
    "timer-awb",
    "weather-kal16",
)
"""The wake word and something to do."""

TALK: Final = "what-time-is-it"
"""Speech without the wake word; played backwards it is speech, too."""

SHARES: Final = {"quiet": 0.8, "noise": 0.12, "talk": 0.08}
"""How the time between two sentences is spent."""

STRETCH_S: Final = (5, 60)
"""How long one of these goes on."""

PAUSE_S: Final = 6
"""Seconds of quiet after an utterance, for the reply."""


class Home:
    """Makes the sound of a day, block by block, the same for the same seed. For one thread."""

    def __init__(self, seed: int, hours: float, sentences: int) -> None:
        self._random = np.random.default_rng(seed)
        self._samples = int(hours * 3600 * RATE)
        self._sentences = [recording(name) for name in SENTENCES]
        self._quiet = self._random.normal(0, 8, 60 * RATE).astype(np.int16)
        self._noise = self._random.normal(0, 250, 60 * RATE).astype(np.int16)
        talk = recording(TALK)
        self._talk = np.concatenate([talk, self._quiet[: RATE // 2], talk[::-1]])
        places = self._random.uniform(0.02, 0.98, sentences) * self._samples
        self._due = sorted(int(place) for place in places)
        self.said: list[tuple[int, int]] = []
        """First sample of each sentence that was said, and the one after its last."""

    def stretches(self) -> Iterator[Sound]:
        """Give the day from its beginning to its end."""
        at = 0
        due = iter([*self._due, self._samples])
        for until in due:
            while at < until:
                stretch = self._ordinary(until - at)
                at += len(stretch)
                yield stretch
            if until == self._samples:
                return
            sentence = self._sentences[self._random.integers(len(self._sentences))]
            self.said.append((at, at + len(sentence)))
            for stretch in (sentence, self._of(self._quiet, PAUSE_S * RATE)):
                at += len(stretch)
                yield stretch

    def _ordinary(self, most: int) -> Sound:
        kind = self._random.choice(list(SHARES), p=list(SHARES.values()))
        length = min(most, int(self._random.uniform(*STRETCH_S) * RATE))
        return self._of(
            {"quiet": self._quiet, "noise": self._noise, "talk": self._talk}[kind], length
        )

    def _of(self, sound: Sound, length: int) -> Sound:
        begin = int(self._random.integers(len(sound)))
        return np.take(sound, range(begin, begin + length), mode="wrap")
