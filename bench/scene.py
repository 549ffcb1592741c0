"""Scenes: a recording played into a room, with what is known about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from bench.material import Clip, Collection, Noise
from bench.sound import (
    Sound,
    Waves,
    chance,
    floor,
    loudness,
    pauses,
    powers,
    rms,
    rounded,
    seconds,
    spoken,
)

COMMA_S: Final = 0.06
"""The shortest silence that parts the wake word from its command."""

WORD_S: Final = (0.45, 1.5)
"""How long the wake word lasts, at least and at most."""

LEVEL: Final = 2000.0
"""-24 dBFS: what people and words are brought to who were recorded apart."""

CALM_S: Final = 0.5
"""A real speaker may pause so long inside a sentence; one who pauses longer is another test."""

SENTENCE_S: Final = (0.6, 8.0)
"""How long a sentence to the ear lasts."""

CLEAN_DB: Final = -38.0
"""Noise around the speech of a real speaker, below its loudest part: louder hides its ends."""


@dataclass(frozen=True, slots=True)
class Room:
    """A kind of noise at a distance from the speech."""

    noise: Literal["none", "household", "babble"]
    snr_db: int | None = None

    def __str__(self) -> str:
        return "clean" if self.noise == "none" else f"{self.noise} {self.snr_db} dB"


NOISES: Final[tuple[Literal["household", "babble"], ...]] = ("household", "babble")

CLEAN: Final = Room("none")


def noisy(snrs_db: Sequence[int]) -> list[Room]:
    """Return the rooms with noise in them, at these distances from the speech."""
    return [Room(noise, snr_db) for noise in NOISES for snr_db in snrs_db]


@dataclass(frozen=True, slots=True)
class Speech:
    """Somebody who speaks to the ear, without a room."""

    name: str
    waves: Waves
    word_ends: int | None
    """Sample after the wake word, where it can be told."""
    command_starts: int | None
    """First sample of the command; None: there is none, or it cannot be told."""
    ends: int
    """Sample after the last word."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the microphone hears. All positions are samples of ``sound``."""

    name: str
    """Whose speech, and which noise."""
    sound: Sound
    speech_starts: int
    command_starts: int | None
    speech_ends: int


def word_alone(clip: Clip) -> Speech:
    """Take the wake word and nothing else."""
    waves = clip.load().astype(np.float64)
    _, ends = spoken(waves)
    return Speech(clip.name, waves, ends, None, ends)


def one_breath(clip: Clip) -> Speech:
    """Take the wake word and a command in one recording."""
    waves = clip.load().astype(np.float64)
    first, ends = spoken(waves)
    border = _border(waves, first)
    if border is None:
        return Speech(clip.name, waves, None, None, ends)
    return Speech(clip.name, waves, border[0], border[1], ends)


def after_a_pause(word: Clip, command: Clip, pause_s: float) -> Speech:
    """Join the wake word, silence, and a sentence that was said on another occasion."""
    call, sentence = _alone(word), _alone(command)
    waves = np.concatenate((call, np.zeros(seconds(pause_s)), sentence))
    starts = len(call) + seconds(pause_s)
    return Speech(f"{word.name} + {command.name}", waves, len(call), starts, len(waves))


def sentences(clips: Sequence[Clip]) -> list[Clip]:
    """Those in which a real speaker says one sentence whose ends can be told."""
    return [clip for clip in clips if _is_sentence(clip.load())]


def play(
    speech: Speech, room: Room, collection: Collection, *, before_s: float, after_s: float
) -> Scene:
    """Let ``speech`` be heard in ``room``. The same arguments always make the same scene."""
    random = chance(speech.name, str(room))
    start = seconds(before_s)
    length = start + len(speech.waves) + seconds(after_s)
    waves = floor(length, random)
    waves[start : start + len(speech.waves)] += speech.waves
    noise = None
    if room.snr_db is not None:
        noise = _noise(room, collection, random)
        excerpt = _excerpt(noise.waves, length, random)
        waves += excerpt * (loudness(speech.waves) / 10 ** (room.snr_db / 20) / rms(excerpt))
    command = speech.command_starts
    return Scene(
        name=speech.name if noise is None else f"{speech.name} ({noise.name})",
        sound=rounded(waves),
        speech_starts=start + spoken(speech.waves)[0],
        command_starts=None if command is None else start + command,
        speech_ends=start + speech.ends,
    )


def _noise(room: Room, collection: Collection, random: np.random.Generator) -> Noise:
    if room.noise == "babble":
        return collection.babble
    return collection.household[int(random.integers(len(collection.household)))]


def _excerpt(noise: Waves, length: int, random: np.random.Generator) -> Waves:
    offset = int(random.integers(max(1, len(noise) - length)))
    return np.resize(noise[offset:], length)


def _border(waves: Waves, first: int) -> tuple[int, int] | None:
    """Find the longest silence where the wake word can end."""
    least, most = (first + seconds(duration) for duration in WORD_S)
    found = [
        (start, end)
        for start, end in pauses(waves)
        if least <= start <= most and end - start >= seconds(COMMA_S)
    ]
    return max(found, key=lambda pause: pause[1] - pause[0], default=None)


def _alone(clip: Clip) -> Waves:
    """Cut the speech out of a recording, and bring it to the usual level."""
    sound = clip.load().astype(np.float64)
    start, end = spoken(sound)
    waves = sound[start:end]
    result: Waves = waves * (LEVEL / loudness(waves))
    return result


def _is_sentence(sound: Sound) -> bool:
    start, end = spoken(sound)
    longest = max((after - before for before, after in pauses(sound)), default=0)
    in_order = seconds(SENTENCE_S[0]) <= end - start <= seconds(SENTENCE_S[1])
    calm = in_order and longest <= seconds(CALM_S)
    return calm and _is_recorded(sound) and _is_clean(sound, start, end)


def _is_clean(sound: Sound, start: int, end: int) -> bool:
    """Whether silence is around the speech: else nobody knows where it begins and ends."""
    around = np.concatenate((sound[:start], sound[end:]))
    if len(around) < seconds(0.3):
        return False
    return bool(20 * np.log10(rms(around) / np.sqrt(powers(sound).max())) <= CLEAN_DB)


def _is_recorded(sound: Sound) -> bool:
    """Whether a microphone made it: a synthesised voice pauses in digital silence."""
    return float(np.percentile(powers(sound), 5)) > 0.0
