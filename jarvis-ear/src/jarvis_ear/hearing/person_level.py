"""Person level: how loud the person at the microphone speaks, measured by their wake word.

After the wake word, most of what is not the person's command is quieter than the word. Television
is tested against more than that: the energies of a person and of a television add up.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.endpoint import (
    LOUDEST_FRAMES,
    NO_DEMAND,
    SMOOTHING_FRAMES,
    SPEECH_PROBABILITY,
    Demand,
)
from jarvis_ear.hearing.gate import SpeechModel
from jarvis_ear.units import FRAME_SAMPLES, Samples, samples

NORMAL_LEVEL: Final = (0.1 * 32768) ** 2
"""-20 dBFS as a mean square: the level at which the speech model works best."""

MOST_GAIN: Final = 31.6
"""+30 dB: with more, the noise of any microphone would count as speech."""

LEVEL_SAMPLES: Final = samples(100)
"""About a syllable: the shortest stretch whose level shows how loud a person speaks."""

BELOW_WAKE_WORD: Final = 10 ** (-15 / 10)
"""-15 dB as a ratio of energies: the minimum level of a command relative to its wake word; people
in the background are quieter. Measured: babble 20 dB below opens 1 of 44 turns, without it 20."""

REST_BELOW_WORD: Final = 10 ** (-6 / 10)
"""-6 dB as a ratio of energies: the minimum level of the rest of a sentence relative to its wake
word, or to its beginning if it has none. Stricter than above, because it holds up a turn."""

RECALL: Final = samples(1500)
"""Sound before a detection that the speech model gets first, to adapt to the room, and of which the
wake word is the loudest part."""

WORD: Final = samples(1000)
"""Sound before a detection that the wake word fills."""

ROOM_ENDS: Final = samples(1300)
"""Time before a detection at which the wake word has not begun yet."""

ROOM: Final = samples(4500)
"""Length of the sound until then that shows how loud the room is."""

BEFORE_WORD: Final = Samples(ROOM + ROOM_ENDS)
"""Time before a detection at which that sound begins."""

REPLY_TAIL: Final = samples(1000)
"""Sound before the end of a reply that shows how loud the microphone hears it. Its reverberation
lasts some 0.3 s, but is never louder."""

PIECES: Final = 5
"""Pieces of that sound: what is as loud in most of them comes again and again; a door does not."""

TALK_SHARE: Final = 1 / 3
"""Least share of speech in a room where people talk. Measured: television 0.32 to 0.96 (5 to
95 %), one more wake word 0.16, household at most 0.28, 5 dB below the person 0.5."""

NOISE_SHARE: Final = 1 / 2
"""Share of speech from which what comes again and again in the room is not noise."""

CONVERSATION: Final = 10 ** (-2.5 / 10)
"""-2.5 dB as a ratio of energies: louder talk before the wake word is that of the same people."""

QUIET_ROOM: Final = 10 ** (-20 / 10)
"""-20 dB as a ratio of energies: a room quieter than the wake word by more does not matter."""

NEVER_REFUSED: Final = 10 ** (-3.5 / 10)
"""-3.5 dB as a ratio of energies: louder speech is not refused because of talk in the room."""

ABOVE_NOISE: Final = 10 ** (1 / 10)
"""1 dB as a ratio of energies: short speech is louder than the noise of the room by as much."""


@dataclass(frozen=True, slots=True)
class RoomSound:
    """Sound of the room before a wake word. Levels are mean squares; 0: none, or not known."""

    talk: float = 0.0
    """Loudness of the people who talk, on television for example."""
    noise: float = 0.0
    """Level of the syllable-long sounds that come again and again."""


UNKNOWN_ROOM: Final = RoomSound()

Levels: TypeAlias = npt.NDArray[np.float64]


class PersonLevel:
    """Levels that tell the person from others, as mean squares. Owned by the ear thread.

    0: no demand, because there was no wake word.
    """

    def __init__(self, below_word_db: float) -> None:
        """``below_word_db``: see ``hearing.endpointing.below_wake_word_db``."""
        self._share = 10 ** (-below_word_db / 10)
        self._word = 0.0
        self._loudness = 1.0
        self._session = 0.0
        self.gain = 1.0
        """Gain with which the speech model hears the person best."""
        self.demand = NO_DEMAND
        """What an utterance must have."""
        self.first = 0.0
        """A syllable at its beginning is at least as loud."""

    @property
    def demand_of_rest(self) -> Demand:
        """What the rest of a sentence must have."""
        return Demand(syllable=self.demand.syllable)

    def note_word(
        self,
        heard: list[Frame],
        at: Samples,
        speech_model: SpeechModel,
        *,
        played_until: Samples,
    ) -> None:
        """Measure the wake word that was detected at ``at``, and the room before it.

        ``heard``: the newest frames, at least from ``at - RECALL`` on; the room is unknown without
        those from ``at - BEFORE_WORD`` on, or if the loudspeaker was heard in them. The caller
        resets ``speech_model`` afterwards.
        """
        self._word = self._session = loudest([frame for frame in heard if frame.end > at - RECALL])
        self._loudness = loudness(levels(_between(heard, at - WORD, at)))
        self.gain = gain_for(self._word)
        self.first = 0.0
        room = _between(heard, at - BEFORE_WORD, at - ROOM_ENDS)
        is_known = len(room) == ROOM // FRAME_SAMPLES and played_until <= at - BEFORE_WORD
        self._demand_in(self._measure(room, speech_model) if is_known else UNKNOWN_ROOM)

    def _measure(self, room: list[Frame], speech_model: SpeechModel) -> RoomSound:
        speech_model.reset()
        return room_sound(
            room, self._loudness, lambda pcm: speech_model.probability(pcm, self.gain)
        )

    def below_word_db(self, loudness: float) -> float:
        """Return how much quieter than the wake word speech of this ``loudness`` is, in dB."""
        return 10 * math.log10(self._loudness / max(loudness, 1.0))

    def _demand_in(self, room: RoomSound) -> None:
        least = self._loudness * self._share
        with_talk = min(least + room.talk * (1 - self._share), self._loudness * NEVER_REFUSED)
        self.demand = Demand(
            syllable=self._word * BELOW_WAKE_WORD,
            loudness=with_talk if room.talk else least,
            because_of_talk=room.talk > 0,
            noise=room.noise * ABOVE_NOISE,
            certain=True,
        )

    def expect_no_word(self) -> None:
        """Speech is about as loud as the last wake word of the session, if there was one."""
        self._word = 0.0
        self.first = self._session * BELOW_WAKE_WORD
        self.demand = Demand(syllable=self.first)

    def forget_session(self) -> None:
        """Another session begins, perhaps with another person."""
        self._session = 0.0

    def rest(self, beginning: float) -> float:
        """Return the least level of the rest of a sentence whose beginning is this loud."""
        return REST_BELOW_WORD * (self._word or beginning)


def room_sound(
    before: list[Frame], word: float, probability: Callable[[bytes], float]
) -> RoomSound:
    """Measure the room in the frames before a wake word of this loudness.

    A room that is much quieter than the word is not measured: it makes no difference.
    """
    found = levels(before)
    loud = loudness(found)
    if loud < word * QUIET_ROOM:
        return UNKNOWN_ROOM
    share = sum(probability(frame.pcm) >= SPEECH_PROBABILITY for frame in before) / len(before)
    peaks = sorted(float(piece.max()) for piece in np.array_split(found, PIECES))
    talks = share >= TALK_SHARE and loud <= word * CONVERSATION
    return RoomSound(
        talk=loud if talks else 0.0,
        noise=peaks[PIECES // 2] if share < NOISE_SHARE else 0.0,
    )


def _between(heard: list[Frame], start: int, end: int) -> list[Frame]:
    return [frame for frame in heard if start < frame.end <= end]


def levels(sound: list[Frame]) -> Levels:
    """Return the level of the syllable that ends with each frame; empty if there is none."""
    pcm = np.frombuffer(b"".join(frame.pcm for frame in sound), np.int16).astype(np.float64)
    energies = (pcm.reshape(-1, FRAME_SAMPLES) ** 2).mean(axis=1)
    if len(energies) < SMOOTHING_FRAMES:
        return np.empty(0)
    return np.convolve(energies, np.full(SMOOTHING_FRAMES, 1 / SMOOTHING_FRAMES), "valid")


def loudness(found: Levels) -> float:
    """Return the mean of the ``LOUDEST_FRAMES`` highest levels, at least 1, as a divisor."""
    return max(1.0, float(np.sort(found)[-LOUDEST_FRAMES:].mean())) if len(found) else 1.0


def loudest(frames: list[Frame]) -> float:
    """Return the mean square of the loudest syllable in ``frames``; at least 1, as a divisor."""
    sound = np.frombuffer(b"".join(frame.pcm for frame in frames), np.int16).astype(np.float32)
    pieces = sound[: len(sound) // LEVEL_SAMPLES * LEVEL_SAMPLES].reshape(-1, LEVEL_SAMPLES)
    return float((pieces**2).mean(axis=1).max(initial=1.0))


def gain_for(level: float) -> float:
    """Return the gain from a mean square of ``level`` to the speech model's best level."""
    gain: float = (NORMAL_LEVEL / level) ** 0.5
    return min(max(gain, 1.0), MOST_GAIN)
