"""Recordings for the measurements: a collection with a manifest, or those in tests/data."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from bench.sound import Sound, Waves, chance, rms, rounded, seconds
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.units import SAMPLE_RATE

ROOT: Final = Path(__file__).parents[1]

FLAC_READER: Final = "soundfile"
"""The package that reads the recordings of a collection."""

OURS: Final = ROOT / "tests" / "data"
"""A few synthesised wake words with commands."""

OUR_LABELS: Final = {"hey-jarvis": "pos_synth_isolated", "what-time-is-it": "neg_commands"}
"""Labels of our recordings other than wake word with command."""

NEIGHBOUR: Final = ROOT.parent / "shared" / "audio"
"""Default place of a collection."""

MANIFEST: Final = "MANIFEST.csv"
"""Contents of a collection: columns file, label, said."""

COMMANDS: Final = ("pos_synth_command",)
"""The wake word and a command in one breath."""

WORDS: Final = ("pos_spliced_real", "pos_synth_isolated", "pos_real_hey_jarvis")
"""The wake word alone."""

ORDINARY: Final = (
    "neg_speech",
    "neg_meeting",
    "neg_commands",
    "neg_precise",
    "neg_otherwakeword",
    "noise_ambience",
)
"""Household sound that must not wake the ear."""

HARD: Final = ("neg_nearmiss_hey_real", "neg_nearmiss_synth", "amb_synth")
"""Recordings made or chosen to sound like the wake word."""

SPEAKERS: Final = 6
"""Voices in the babble."""

BABBLE_S: Final = 60
"""Length of the babble, which repeats in longer scenes."""

MADE_S: Final = 30
"""Length of a synthesised noise, used without recordings of noise."""

BEAT_S: Final = 0.5
"""Seconds of one beat of the synthesised music."""

CHORDS_HZ: Final = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6))
"""Chords of the synthesised music, one after the other."""

VOWELS_HZ: Final = ((700, 1200, 2600), (400, 2000, 2600), (350, 800, 2500), (550, 1700, 2400))
"""Formants of the vowels that are sung to it."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording."""

    name: str
    label: str
    said: str
    path: Path

    def load(self) -> Sound:
        """Read a recording: 16 kHz, first channel."""
        if self.path.suffix == ".wav":
            wav = decode_wav(self.path.read_bytes(), max_seconds=3600)
            return _checked(wav.pcm[:, 0], wav.rate, self.path)
        read = import_module(FLAC_READER).read  # our own recordings do without it
        sound, rate = read(self.path, dtype="int16", always_2d=True)
        return _checked(sound[:, 0], rate, self.path)


@dataclass(frozen=True, slots=True)
class Noise:
    """Background sound of a scene."""

    name: str
    waves: Waves


class Collection:
    """All recordings of one run, and the noises made from them. Read-only; for one thread."""

    def __init__(self, folder: Path, clips: Sequence[Clip]) -> None:
        self.folder = folder
        self._clips = clips

    def labelled(self, *labels: str) -> list[Clip]:
        """Return the clips of these labels, in their order."""
        return [clip for label in labels for clip in self._clips if clip.label == label]

    @cached_property
    def describes(self) -> str:
        """Describe the material in one line."""
        if self.folder == OURS:
            return (
                f"material: only the {len(self._clips)} recordings of tests/data, with synthesised"
                " noise: too little to say how well the ear hears (--audio DIR, and the package"
                f" {FLAC_READER} for FLAC, give more)"
            )
        return f"material: {len(self._clips)} recordings of a collection (--audio)"

    @cached_property
    def household(self) -> list[Noise]:
        """Return the household noises."""
        found = [_noise_of(clip) for clip in self.labelled("noise_ambience")]
        return found or [Noise("fan", _fan()), Noise("kitchen", _kitchen())]

    @cached_property
    def babble(self) -> Noise:
        """Mix six people who talk at once; if there are too few, some are reversed."""
        people = [clip.load() for clip in self.labelled("neg_speech")]
        people = people or [clip.load()[::-1] for clip in self._clips]
        voices = (_talker(people, voice) for voice in range(SPEAKERS))
        return Noise("babble", sum(voices, np.zeros(1)))

    @cached_property
    def talk(self) -> Sound:
        """Join people one after the other, as on television."""
        people = [clip.load() for clip in self.labelled("neg_speech", "neg_meeting")]
        return np.concatenate(people or [clip.load()[::-1] for clip in self._clips])

    @cached_property
    def television(self) -> Noise:
        """Return the talk with all people at one level, as a broadcaster makes it."""
        people = [clip.load() for clip in self.labelled("neg_speech", "neg_meeting")]
        people = people or [clip.load()[::-1] for clip in self._clips]
        order = chance("television").permutation(len(people))
        level = [1000.0 * people[place] / rms(people[place]) for place in order]
        return Noise("television", np.concatenate(level))

    @cached_property
    def music(self) -> Noise:
        """Join the pieces of music; without any, synthesise a song with drums."""
        pieces = [clip.load() for clip in self.labelled("neg_music")]
        level = [1000.0 * piece / rms(piece) for piece in pieces]
        return Noise("music", np.concatenate(level) if level else _song())


def open_collection(folder: Path | None) -> Collection:
    """Open the given collection, else the default one, else our own recordings."""
    if folder is not None:
        return Collection(folder, list(_listed(folder / MANIFEST)))
    if (NEIGHBOUR / MANIFEST).is_file() and find_spec(FLAC_READER) is not None:
        return Collection(NEIGHBOUR, list(_listed(NEIGHBOUR / MANIFEST)))
    return own_collection()


def own_collection() -> Collection:
    """Open our own recordings, which are the same everywhere."""
    return Collection(OURS, list(_ours()))


def spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    """Return up to ``count`` items, evenly spaced over the whole list."""
    step = max(1.0, len(clips) / count)
    return [clips[int(place * step)] for place in range(min(count, len(clips)))]


def _listed(manifest: Path) -> Iterator[Clip]:
    with manifest.open(newline="") as lines:
        for row in csv.DictReader(lines):
            yield Clip(row["file"], row["label"], row["said"], manifest.parent / row["file"])


def _ours() -> Iterator[Clip]:
    for path in sorted(OURS.glob("*.wav")):
        label = OUR_LABELS.get(path.stem, COMMANDS[0])
        yield Clip(path.name, label, path.stem.replace("-", " "), path)


def _noise_of(clip: Clip) -> Noise:
    return Noise(Path(clip.name).stem, clip.load().astype(np.float64))


def _checked(sound: Sound, rate: int, path: Path) -> Sound:
    if rate != SAMPLE_RATE:
        raise ValueError(f"{path} has {rate} samples a second, expected {SAMPLE_RATE}")
    return sound


def _talker(people: Sequence[Sound], voice: int) -> Waves:
    order = chance("babble", voice).permutation(len(people))
    words = [people[place] / rms(people[place]) for place in order]
    return 1000 * np.resize(np.concatenate(words), seconds(BABBLE_S)).astype(np.float64)


def _fan() -> Waves:
    """Make steady noise that falls with the frequency."""
    count = seconds(MADE_S)
    spectrum = np.fft.rfft(chance("fan").normal(0, 1, count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 30 * MADE_S))
    waves = np.fft.irfft(spectrum, count)
    result: Waves = 300 * waves / waves.std()
    return result


def _kitchen() -> Waves:
    """Make clatter: short ringing knocks at random moments, over a faint fan."""
    random = chance("kitchen")
    waves = _fan() / 10
    ring = np.exp(-np.arange(1600) / 300)
    for at in random.integers(0, len(waves) - len(ring), 3 * MADE_S):
        tone = np.sin(np.arange(len(ring)) * random.uniform(0.2, 1.5))
        waves[at : at + len(ring)] += random.uniform(500, 3000) * tone * ring
    return waves


def _song() -> Waves:
    """Make chords, drums and a voice that sings vowels with vibrato."""
    random = chance("song")
    beats = [_beat(number, random) for number in range(int(MADE_S / BEAT_S))]
    waves = np.concatenate(beats)
    result: Waves = 1000 * waves / waves.std()
    return result


def _beat(number: int, random: np.random.Generator) -> Waves:
    time = np.arange(seconds(BEAT_S)) / SAMPLE_RATE
    chord = CHORDS_HZ[number // 4 % len(CHORDS_HZ)]
    waves = sum((_tone(pitch, time) * np.exp(-3 * time) for pitch in chord), np.zeros(len(time)))
    drum = random.normal(0, 1, len(time)) * np.exp(-time * (60 if number % 2 else 15))
    pitch = 2 * chord[int(random.integers(3))] * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * time))
    vowel = VOWELS_HZ[int(random.integers(len(VOWELS_HZ)))]
    sung = np.zeros(len(time))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    for harmonic in range(1, 12):
        frequency = harmonic * float(pitch[0])
        strength = sum(1 / (1 + ((frequency - formant) / 120) ** 2) for formant in vowel)
        sung += strength * np.sin(harmonic * phase)
    fade = np.minimum(1, 20 * np.minimum(time, BEAT_S - time))
    result: Waves = waves + 1.5 * drum + 3 * sung * fade
    return result


def _tone(pitch: float, time: Waves) -> Waves:
    return sum((np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 8)), np.zeros(len(time)))


def quiet_room(name: str, length_s: float) -> Sound:
    """Make the microphone's own noise, without anything else."""
    return rounded(0.0 + chance("quiet", name).normal(0, 8, seconds(length_s)))
