"""Scenes: a recording played in a room, with the known positions of words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

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
    reverberant,
    rms,
    rounded,
    seconds,
    shifted,
    spoken,
)

COMMA_S: Final = 0.06
"""Shortest silence between the wake word and its command."""

AFTER_WORD_S: Final = 0.5
"""Seconds between the wake word and a command of another recording, if nothing else is said."""

WORD_S: Final = (0.45, 1.5)
"""Minimum and maximum length of the wake word."""

LEVEL: Final = 2000.0
"""-24 dBFS: the common level of speech from different recordings."""

CALM_S: Final = 0.5
"""Longest pause inside an utterance of a real speaker; longer ones are another test."""

SENTENCE_S: Final = (0.6, 8.0)
"""Minimum and maximum length of an utterance."""

CLEAN_DB: Final = -38.0
"""Maximum noise around real speech, relative to its loudest part; more would hide its ends."""


NoiseKind: TypeAlias = Literal["none", "household", "babble", "television", "music"]


@dataclass(frozen=True, slots=True)
class Room:
    """Where a person speaks: a kind of noise with a signal-to-noise ratio, or another trouble."""

    noise: NoiseKind = "none"
    snr_db: int | None = None
    rt60_s: float = 0.0
    """Seconds in which the echo of the room fades by 60 dB."""
    gain_db: int = 0
    """Gain of the microphone: everything is so much louder or quieter."""
    peak_dbfs: int | None = None
    """Peak of the sound before it is clipped."""
    semitones: int = 0
    """How much higher the voice is."""

    def __str__(self) -> str:
        parts = {
            f"{self.noise} {self.snr_db} dB": self.noise != "none",
            f"reverb {self.rt60_s:g} s": self.rt60_s,
            f"gain {self.gain_db:+} dB": self.gain_db,
            f"clipped at {self.peak_dbfs or 0:+} dBFS": self.peak_dbfs is not None,
            f"pitch {self.semitones:+}": self.semitones,
        }
        return ", ".join(part for part, is_so in parts.items() if is_so) or "clean"


NOISES: Final[tuple[NoiseKind, ...]] = ("household", "babble", "television")

CLEAN: Final = Room()

MUSIC: Final = Room("music", 10)

ALTERED: Final = (
    Room(rt60_s=0.5),
    Room(rt60_s=0.8),
    Room(gain_db=-36),
    Room(peak_dbfs=12),
    Room(semitones=-4),
    Room(semitones=4),
    Room(semitones=6),
)
"""Rooms without noise in which speech does not arrive as it was recorded."""


def rooms(snrs_db: Sequence[int], altered: int) -> list[Room]:
    """Return the clean room, the noisy ones, and the first ``altered`` of the others."""
    return [CLEAN, *noisy(snrs_db), *ALTERED[:altered]]


def noisy(snrs_db: Sequence[int]) -> list[Room]:
    """Return the noisy rooms with these signal-to-noise ratios, and the one with music."""
    return [*(Room(noise, snr_db) for noise in NOISES for snr_db in snrs_db), MUSIC]


@dataclass(frozen=True, slots=True)
class Speech:
    """Speech to the ear, without a room."""

    name: str
    waves: Waves
    word_ends: int | None
    """Sample after the wake word, if known."""
    command_starts: int | None
    """First sample of the command; None: no command, or not known."""
    ends: int
    """Sample after the last word."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The sound at the microphone. All positions are samples of ``sound``."""

    name: str
    """Names of speech and noise."""
    sound: Sound
    speech_starts: int
    command_starts: int | None
    speech_ends: int


def word_alone(clip: Clip) -> Speech:
    """Take the wake word alone."""
    waves = clip.load().astype(np.float64)
    _, ends = spoken(waves)
    return Speech(clip.name, waves, ends, None, ends)


def one_breath(clip: Clip) -> Speech:
    """Take the wake word and a command from one recording."""
    waves = clip.load().astype(np.float64)
    first, ends = spoken(waves)
    border = _border(waves, first)
    if border is None:
        return Speech(clip.name, waves, None, None, ends)
    return Speech(clip.name, waves, border[0], border[1], ends)


def after_a_pause(word: Clip, command: Clip, pause_s: float, change_db: float = 0.0) -> Speech:
    """Join the wake word, silence, and an utterance from another recording.

    ``change_db``: how much louder the utterance is than the wake word.
    """
    call, sentence = _alone(word), _alone(command) * 10 ** (change_db / 20)
    waves = np.concatenate((call, np.zeros(seconds(pause_s)), sentence))
    starts = len(call) + seconds(pause_s)
    return Speech(f"{word.name} + {command.name}", waves, len(call), starts, len(waves))


def with_a_pause(word: Clip, command: Clip, pause_s: float) -> Speech:
    """Join the wake word, half a second, and an utterance with a pause in its middle."""
    call, sentence = _alone(word), _alone(command)
    cut = _quietest(sentence)
    pause = np.zeros(seconds(pause_s))
    before = np.concatenate((call, np.zeros(seconds(AFTER_WORD_S))))
    waves = np.concatenate((before, sentence[:cut], pause, sentence[cut:]))
    return Speech(f"{word.name} + {command.name}", waves, len(call), len(before), len(waves))


def repeated(word: Clip, command: Clip, gap_s: float, then_s: float) -> Speech:
    """Join the wake word, a gap, the same again, a pause, and an utterance."""
    call, sentence = _alone(word), _alone(command)
    gap, then = np.zeros(seconds(gap_s)), np.zeros(seconds(then_s))
    before = np.concatenate((call, gap, call, then))
    name = f"{word.name} twice + {command.name}"
    waves = np.concatenate((before, sentence))
    return Speech(name, waves, len(call), len(before), len(waves))


def _quietest(sentence: Waves) -> int:
    """Return the middle of the quietest 40 ms in the middle third: between two words."""
    third, window = len(sentence) // 3, seconds(0.04)
    energy = np.convolve(sentence**2, np.ones(window), "valid")[third : 2 * third]
    return third + int(energy.argmin()) + window // 2


def sentences(clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips of real speakers with one utterance whose ends are known."""
    return [clip for clip in clips if _is_sentence(clip.load())]


def play(
    speech: Speech, room: Room, collection: Collection, *, before_s: float, after_s: float
) -> Scene:
    """Play ``speech`` in ``room``. The same arguments always make the same scene."""
    random = chance(speech.name, str(room))
    start = seconds(before_s)
    length = start + len(speech.waves) + seconds(after_s)
    waves = floor(length, random)
    said = shifted(speech.waves, room.semitones) if room.semitones else speech.waves
    waves[start : start + len(said)] += said
    if room.rt60_s:
        waves = reverberant(waves, room.rt60_s, random)
    noise = _noise(room, collection, random)
    if noise is not None and room.snr_db is not None:
        excerpt = _excerpt(noise.waves, length, random)
        waves += excerpt * (loudness(speech.waves) / 10 ** (room.snr_db / 20) / rms(excerpt))
    command = speech.command_starts
    return Scene(
        name=speech.name if noise is None else f"{speech.name} ({noise.name})",
        sound=rounded(waves * _gain(room, waves)),
        speech_starts=start + spoken(speech.waves)[0],
        command_starts=None if command is None else start + command,
        speech_ends=start + speech.ends,
    )


def _gain(room: Room, waves: Waves) -> float:
    if room.peak_dbfs is not None:
        return float(32768 * 10 ** (room.peak_dbfs / 20) / np.abs(waves).max())
    return float(10 ** (room.gain_db / 20))


def _noise(room: Room, collection: Collection, random: np.random.Generator) -> Noise | None:
    match room.noise:
        case "none":
            return None
        case "babble":
            return collection.babble
        case "television":
            return collection.television
        case "music":
            return collection.music
        case "household":
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
    """Cut the speech out of a recording, and scale it to the common level."""
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
    """Whether there is silence around the speech, which makes its ends known."""
    around = np.concatenate((sound[:start], sound[end:]))
    if len(around) < seconds(0.3):
        return False
    return bool(20 * np.log10(rms(around) / np.sqrt(powers(sound).max())) <= CLEAN_DB)


def _is_recorded(sound: Sound) -> bool:
    """Whether a microphone recorded it: a synthesised voice pauses in digital silence."""
    return float(np.percentile(powers(sound), 5)) > 0.0
