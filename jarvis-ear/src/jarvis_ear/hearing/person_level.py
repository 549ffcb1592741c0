"""Person level: how loud the person at the microphone speaks, measured by their wake word."""

from typing import Final

import numpy as np

from jarvis_ear.audio.frames import Frame
from jarvis_ear.units import samples

NORMAL_LEVEL: Final = (0.1 * 32768) ** 2
"""-20 dBFS as a mean square: the level at which the speech model works best."""

MOST_GAIN: Final = 31.6
"""+30 dB: with more, the noise of any microphone would count as speech."""

LEVEL_SAMPLES: Final = samples(100)
"""About a syllable: the shortest stretch whose level shows how loud a person speaks."""

BELOW_WAKE_WORD: Final = 10 ** (-15 / 10)
"""-15 dB as a ratio of energies: the minimum level of a command relative to its wake word; people
in the background are quieter. Measured: babble 20 dB below opens 1 of 44 turns, without it 20."""

REPLY_TAIL: Final = samples(1000)
"""Sound before the end of a reply that shows how loud the microphone hears it. The room goes on
with the reply for some 0.3 s, but never louder."""

REST_BELOW_WORD: Final = 10 ** (-6 / 10)
"""-6 dB as a ratio of energies: the minimum level of the rest of a sentence relative to its wake
word, or to its beginning if it has none. Stricter than above, because it holds up a turn."""


class PersonLevel:
    """Levels that tell the person from others, as mean squares. Owned by the ear thread.

    0 stands for no demand: nobody said the wake word.
    """

    def __init__(self) -> None:
        self._word = 0.0
        self._session = 0.0
        self.gain = 1.0
        """Gain with which the speech model hears the person best."""
        self.least = 0.0
        """The loudest syllable of an utterance is at least as loud."""
        self.first = 0.0
        """A syllable at its beginning is at least as loud."""

    def note_word(self, recalled: list[Frame]) -> None:
        """Measure the wake word in the frames before its detection."""
        self._word = self._session = loudest(recalled)
        self.gain = gain_for(self._word)
        self.least, self.first = self._word * BELOW_WAKE_WORD, 0.0

    def expect_no_word(self) -> None:
        """Speech is about as loud as the last wake word of the session, if there was one."""
        self._word = 0.0
        self.least = self.first = self._session * BELOW_WAKE_WORD

    def forget_session(self) -> None:
        """Another session begins, perhaps with another person."""
        self._session = 0.0

    def rest(self, beginning: float) -> float:
        """Return the least level of the rest of a sentence whose beginning is this loud."""
        return REST_BELOW_WORD * (self._word or beginning)


def loudest(frames: list[Frame]) -> float:
    """Return the mean square of the loudest syllable in ``frames``; at least 1, as a divisor."""
    sound = np.frombuffer(b"".join(frame.pcm for frame in frames), np.int16).astype(np.float32)
    pieces = sound[: len(sound) // LEVEL_SAMPLES * LEVEL_SAMPLES].reshape(-1, LEVEL_SAMPLES)
    return float((pieces**2).mean(axis=1).max(initial=1.0))


def gain_for(level: float) -> float:
    """Return the gain from a mean square of ``level`` to the speech model's best level."""
    gain: float = (NORMAL_LEVEL / level) ** 0.5
    return min(max(gain, 1.0), MOST_GAIN)
