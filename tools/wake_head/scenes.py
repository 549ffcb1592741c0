"""Scenes: one utterance in a room, with the position of the wake word if it is said."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Final

import numpy as np
from bench.sound import Sound, Waves, chance, loudness, powers, seconds, spoken
from wake_head.phrases import Side, happens
from wake_head.recordings import Recording, Recordings, joined
from wake_head.rooms import Room, noises_of, play, random_room

from jarvis_ear.units import STEP_SAMPLES
from wake_head import phrases, voices

POSITIVE: Final = "word"
NEAR: Final = "near miss"
OTHER: Final = "hey without name"
NAME: Final = "name alone"
SAY_NAME: Final = "say and the name"
ORDINARY: Final = "ordinary"

ORDINARY_S: Final = 30
"""Length of a scene of ordinary sound."""


LOUD_DB: Final = (14.0, 26.0)
"""Gain at which the microphone clips."""

IN_A_SENTENCE: Final = 0.9
"""Length of the word before a command, as a share of its length alone."""

ONE_BREATH: Final = seconds(0.75)
"""About where the word ends in a recording of word and command."""

PLAYED_FASTER: Final = 1.15
"""More scenes for the same length: those with a higher pitch are shorter."""

NOISE_SHARE: Final = 0.10
RECORDED_SHARE: Final = 0.45
"""Shares of ordinary scenes: up to the first noise, up to the second recorded speech."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the microphone hears, and what it is."""

    kind: str
    origin: str
    """Where the speech comes from, for the tables."""
    room: str
    sound: Sound
    """Whole steps."""
    starts: int
    """First sample of what is said."""
    ends: int
    """The sample after the wake word, or after the last word if there is none."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech of the judging or development side."""

    kind: str
    origin: str
    name: str
    load: Callable[[], Waves]
    word: int | None = None
    """Length of the word in samples; None: all of it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many scenes of each series a training has."""

    word: int = 2400
    breath: int = 1600
    real_word: int = 2400
    near: int = 3600
    other: int = 1000
    name: int = 1400
    rhyme: int = 2000
    real_name: int = 600
    real_other: int = 800
    loud: int = 600
    ordinary_hours: float = 10.0

    def scaled(self, scale: float) -> "Counts":
        """Return so many times as many, for a shorter run."""
        return Counts(*(type(each)(each * scale) for each in astuple(self)))


@dataclass(frozen=True, slots=True)
class Series:
    """Scenes of one kind, each made from its own number."""

    name: str
    count: int
    make: Callable[[int], Scene]


@dataclass(frozen=True, slots=True)
class Dice:
    """The randomness of a scene."""

    speech: np.random.Generator
    """What is said and by whom: the same for ``ROOMS`` scenes in a row, which saves synthesis."""
    room: np.random.Generator
    """Where it is heard."""
    is_loud: bool
    """Whether the microphone clips."""


ROOMS: Final = 2
"""Scenes of one utterance."""


def _dice(*name: object, number: int, is_loud: bool = False) -> Dice:
    """Return the randomness of the scene with this number in the series ``name``."""
    speech, room = chance(*name, number // ROOMS), chance(*name, "room", number)
    return Dice(speech, room, is_loud)


class Stage:
    """Makes the scenes of one side. For one thread.

    Each scene depends on its own name and the seed only: their order and number change nothing.
    """

    def __init__(self, side: Side, recordings: Recordings, seed: int) -> None:
        self.side = side
        self.recordings = recordings
        self._seed = seed
        self._heys, self._names = recordings.words(side)
        self._hey_others = recordings.of(side, "neg_nearmiss_hey_real")
        self._other_words = recordings.of(side, "neg_otherwakeword", "neg_precise")
        self._ordinary_speech = recordings.ordinary(side)
        talk = [self._talk(chance(seed, side, "talker", n), 8.0) for n in range(10)]
        self._noises = noises_of(recordings, side, talk, f"{side} {seed}")

    def training(self, counts: Counts) -> list[Series]:
        """Return the series of a training; those of real people only if there are recordings."""
        near = functools.partial(self._said, NEAR, phrases.NEAR_TRAINING)
        other = functools.partial(self._said, OTHER, phrases.OTHERS)
        name = functools.partial(self._said, NAME, phrases.NAME)
        rhyme = functools.partial(self._said, NAME, phrases.RHYMES)
        return [
            self._series("word", counts.word, self._word),
            self._series("breath", counts.breath, self._breath),
            self._series("near", counts.near, near),
            self._series("other", counts.other, other),
            self._series("name", counts.name, name),
            self._series("loud word", counts.loud, self._word, is_loud=True),
            self._series("loud near", counts.loud, near, is_loud=True),
            self._series("loud name", counts.loud // 2, name, is_loud=True),
            self._series("rhyme", counts.rhyme, rhyme),
            self.ordinary(counts.ordinary_hours),
            *self.real(counts),
        ]

    def real(self, counts: Counts) -> list[Series]:
        """Return the series of a training with words of real people; none without recordings."""
        if not (self._heys and self._hey_others and self._other_words):
            return []
        return [
            self._series("real word", counts.real_word, self._real_word),
            self._series("loud real word", counts.loud, self._real_word, is_loud=True),
            self._series("real name", counts.real_name, self._real_name),
            self._series("real other", counts.real_other, self._real_other),
        ]

    def ordinary(self, hours: float) -> Series:
        """Return hours of ordinary speech and noise."""
        count = round(hours * 3600 / ORDINARY_S * PLAYED_FASTER)
        return self._series("ordinary", count, self._ordinary)

    def _series(
        self, name: str, count: int, make: Callable[[Dice], Scene], *, is_loud: bool = False
    ) -> Series:
        def scene(number: int) -> Scene:
            return make(_dice(self._seed, self.side, name, number=number, is_loud=is_loud))

        return Series(name, count, scene)

    # Training: a random room each ----------------------------------------------------------

    def _word(self, dice: Dice) -> Scene:
        voice = voices.cast("training", dice.speech)
        word = voices.say(str(dice.speech.choice(phrases.WORD)), voice)
        return self._around(word, "synthesised", dice)

    def _breath(self, dice: Dice) -> Scene:
        """Play the word and a command in one breath; the end of the word is estimated."""
        voice, random = voices.cast("training", dice.speech), dice.speech
        alone = voices.say(phrases.WORD[0], voice)
        said = voices.say(f"{phrases.WORD[0]} {random.choice(phrases.COMMANDS)}", voice)
        ends = round(len(alone) * IN_A_SENTENCE)
        waves = said[: ends + seconds(random.uniform(0.6, 1.2))]
        return self._played(POSITIVE, "synthesised", waves, dice, (0, ends))

    def _real_word(self, dice: Dice) -> Scene:
        """Join a "hey" and a "jarvis" of real people: those of one splice, or any two."""
        pick = int(dice.speech.integers(len(self._heys)))
        other = int(dice.speech.integers(len(self._names)))
        name = self._names[pick if happens(dice.speech, 0.5) else other]
        return self._around(joined(self._heys[pick], name, dice.speech), "recorded", dice)

    def _around(self, word: Waves, origin: str, dice: Dice) -> Scene:
        """Put a word into a room; speech follows a third of them, and precedes some."""
        parts, level, random = [word], loudness(word), dice.speech
        if happens(random, 0.15):
            parts.insert(0, _levelled(self._anything(random)[-seconds(1.5) :], level))
            parts.insert(1, np.zeros(seconds(random.uniform(0.1, 0.5))))
        before = sum(map(len, parts[:-1]))
        if happens(random, 0.33):
            parts.append(np.zeros(seconds(random.uniform(0.02, 0.5))))
            parts.append(_levelled(self._anything(random)[: seconds(1.2)], level))
        return self._played(
            POSITIVE, origin, np.concatenate(parts), dice, (before, before + len(word))
        )

    def _anything(self, random: np.random.Generator) -> Waves:
        """Return a command or ordinary speech, of a real person if there are recordings."""
        if self._ordinary_speech and happens(random, 0.6):
            return _loaded(self._ordinary_speech, random)
        voice = voices.cast("training", random)
        return voices.say(str(random.choice(phrases.COMMANDS)), voice)

    def _said(self, kind: str, texts: Sequence[str], dice: Dice) -> Scene:
        voice = voices.cast("training", dice.speech)
        waves = voices.say(str(dice.speech.choice(texts)), voice)
        return self._played(kind, "synthesised", waves, dice)

    def _real_name(self, dice: Dice) -> Scene:
        """Play the name by a real person, alone or after another word than "hey"."""
        random = dice.speech
        name = self._names[int(random.integers(len(self._names)))].waves
        if happens(random, 0.4):
            lead = self._anything(random)[: seconds(random.uniform(0.2, 1.0))]
            gap = np.zeros(seconds(random.uniform(0.0, 0.15)))
            name = np.concatenate((_levelled(lead, loudness(name)), gap, name))
        return self._played(NAME, "recorded", name, dice)

    def _real_other(self, dice: Dice) -> Scene:
        """Play "hey" by a real person with another word, of one recording or of two."""
        random = dice.speech
        if happens(random, 0.5):
            return self._played(OTHER, "recorded", _loaded(self._hey_others, random), dice)
        hey = self._heys[int(random.integers(len(self._heys)))].waves
        rest = _levelled(_loaded(self._other_words, random)[: seconds(1.5)], loudness(hey))
        return self._played(OTHER, "recorded", np.concatenate((hey, rest)), dice)

    def _played(
        self,
        kind: str,
        origin: str,
        waves: Waves,
        dice: Dice,
        word: tuple[int, int] | None = None,
    ) -> Scene:
        random, room = dice.room, random_room(dice.room)
        if dice.is_loud:
            room = replace(room, gain_db=random.uniform(*LOUD_DB))
        lead, tail = seconds(random.uniform(0.5, 1.2)), seconds(0.75)
        sound, faster = play(waves, room, self._noises, random, lead=lead, tail=tail)
        starts, ends = (lead + round(place / faster) for place in word or (0, len(waves)))
        return Scene(kind, origin, str(room), _whole(sound), starts, ends)

    # Ordinary sound ------------------------------------------------------------------------

    def _ordinary(self, dice: Dice) -> Scene:
        """Half a minute: a third is recorded speech, a tenth is noise, the rest is synthesised."""
        length, random = seconds(ORDINARY_S), dice.speech
        real, draw, room = self._ordinary_speech, random.random(), random_room(dice.room)
        if draw < NOISE_SHARE:
            kind = str(random.choice(["household", "music", "fan", "babble"]))
            origin, waves = "noise", 500 * self._noises.excerpt(kind, length, dice.room)
        elif draw < RECORDED_SHARE and real:
            origin, waves = "recorded", _joined(real, length, dice.room)
        else:
            origin, waves = "synthesised", self._talk(random, ORDINARY_S)
        sound, _ = play(waves, room, self._noises, dice.room, lead=0, tail=0)
        return Scene(ORDINARY, origin, str(room), _whole(sound[:length]), 0, length)

    def _talk(self, random: np.random.Generator, length_s: float) -> Waves:
        voice = voices.cast(f"{self.side} ordinary", random)
        texts = phrases.talk(random)
        words = ". ".join(next(texts) for _ in range(max(1, round(length_s / 2.5))))
        return voices.say(words, voice)[: seconds(length_s)]

    # Judging: recordings and phrases that training never had --------------------------------

    def words(self, rooms: Sequence[Room]) -> Series:
        """Return the wake word by every speaker and voice of this side, in each room."""
        return self._judged("words", self._words(), rooms)

    def negatives(self, rooms: Sequence[Room]) -> Series:
        """Return what must not wake the ear, in each room."""
        return self._judged("negatives", self._negatives(), rooms)

    def _judged(self, name: str, said: Sequence[Utterance], rooms: Sequence[Room]) -> Series:
        def make(number: int) -> Scene:
            return self._placed(said[number // len(rooms)], rooms[number % len(rooms)])

        return Series(name, len(said) * len(rooms), make)

    def _placed(self, said: Utterance, room: Room) -> Scene:
        random, waves = chance(self._seed, said.name, str(room)), said.load()
        lead, tail = seconds(1.2) + int(random.integers(STEP_SAMPLES)), seconds(0.9)
        sound, faster = play(waves, room, self._noises, random, lead=lead, tail=tail)
        ends = lead + round((said.word or len(waves)) / faster)
        return Scene(said.kind, said.origin, str(room), _whole(sound), lead, ends)

    def _words(self) -> list[Utterance]:
        labels = {
            "pos_spliced_real": "spliced",
            "pos_real_hey_jarvis": "real",
            "pos_synth_isolated": "synthesised",
        }
        found = [
            Utterance(POSITIVE, origin, each.clip.name, functools.partial(_trimmed, each))
            for label, origin in labels.items()
            for each in self.recordings.of(self.side, label)
        ]
        found += [self._spoken(POSITIVE, phrases.WORD[0], number) for number in range(24)]
        if self.side == "judging" and voices.has_piper():
            for number in range(12):
                voice = voices.Voice("piper", "joe", 0.75 + number * 0.05, 0.5)
                load = functools.partial(voices.say, phrases.WORD[number % 2], voice)
                found.append(Utterance(POSITIVE, "neural", f"piper {number}", load))
        for each in self.recordings.of(self.side, "pos_synth_command"):
            load = functools.partial(_trimmed, each)
            found.append(Utterance(POSITIVE, "one breath", each.clip.name, load, ONE_BREATH))
        return found

    def _negatives(self) -> list[Utterance]:
        labels = {"neg_nearmiss_hey_real": OTHER, "neg_nearmiss_synth": NEAR, "amb_synth": NAME}
        found = []
        for label, kind in labels.items():
            for each in self.recordings.of(self.side, label):
                said = each.clip.said
                if said in phrases.NEAR_TRAINING or said == phrases.AMBIGUOUS:
                    continue
                origin = "real" if label.endswith("real") else "synthesised"
                load = functools.partial(_trimmed, each)
                kind_of = SAY_NAME if said.startswith("say ") else kind
                found.append(Utterance(kind_of, origin, each.clip.name, load))
        for number, name in enumerate(self._names):
            found.append(
                Utterance(NAME, "real", f"name {number}", functools.partial(np.copy, name.waves))
            )
        texts = phrases.NEAR_JUDGING if self.side == "judging" else phrases.NEAR_DEVELOPMENT
        found += [self._spoken(NEAR, text, n) for n, text in enumerate(4 * texts)]
        found += [self._spoken(NAME, "jarvis", number) for number in range(16)]
        found += [self._spoken(SAY_NAME, "say jarvis", number) for number in range(16)]
        return found

    def _spoken(self, kind: str, text: str, number: int) -> Utterance:
        voice = voices.cast(self.side, chance(self._seed, self.side, kind, number))
        load = functools.partial(voices.say, text, voice)
        return Utterance(kind, "synthesised", f"{text} {number}", load)


def _trimmed(recording: Recording) -> Waves:
    waves = recording.load()
    start, end = spoken(waves)
    return waves[start:end]


def _loaded(real: Sequence[Recording], random: np.random.Generator) -> Waves:
    return real[int(random.integers(len(real)))].load()


def _levelled(waves: Waves, level: float) -> Waves:
    """Return the sound at a loudness, or as it is if it is silence."""
    return waves * (level / loudness(waves)) if np.any(powers(waves)) else waves


def _joined(real: Sequence[Recording], length: int, random: np.random.Generator) -> Waves:
    """Join recordings, each at one level, until they are long enough."""
    parts: list[Waves] = []
    while sum(map(len, parts)) < length:
        waves = _loaded(real, random)[:length]
        parts.append(_levelled(waves, 2000))
    return np.concatenate(parts)[:length]


def _whole(sound: Sound) -> Sound:
    return np.ascontiguousarray(sound[: len(sound) // STEP_SAMPLES * STEP_SAMPLES])
