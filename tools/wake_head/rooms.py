"""Rooms: what a microphone hears of speech, with noises that one side has for itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import soxr
from bench.sound import Sound, Waves, floor, loudness, rms, rounded, seconds
from wake_head.phrases import Side, happens
from wake_head.recordings import Recordings

from jarvis_ear.units import SAMPLE_RATE

LEVEL: Final = 2000.0
"""-24 dBFS: the level of the speech before the gain of the room."""

TALKERS: Final = 6
TALK_S: Final = 120
"""Length of the babble and of a television."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is done to speech on its way."""

    noise: str = "none"
    snr_db: float = 0.0
    reverb_s: float = 0.0
    """RT60; 0: none."""
    direct_db: float = 0.0
    """Direct sound above the reverberation."""
    gain_db: float = 0.0
    semitones: float = 0.0
    """Pitch, formants and speed at once, as a record that turns faster."""
    band_hz: float = 0.0
    """Upper limit of the band; 0: none."""

    def __str__(self) -> str:
        parts = [f"{self.noise} {self.snr_db:.0f} dB"] if self.noise != "none" else []
        parts += [f"reverb {self.reverb_s:.1f} s"] if self.reverb_s else []
        parts += [f"gain {self.gain_db:+.0f} dB"] if self.gain_db else []
        parts += [f"pitch {self.semitones:+.0f}"] if self.semitones else []
        return ", ".join(parts) or "clean"


CLEAN: Final = Room()
JUDGED: Final = (
    CLEAN, Room("household", 20), Room("household", 10), Room("household", 5),
    Room("babble", 10), Room("television", 20), Room("television", 10), Room("music", 10),
    Room(reverb_s=0.5), Room(reverb_s=0.8), Room(gain_db=-36), Room(gain_db=24),
    Room(semitones=-4), Room(semitones=4), Room(semitones=6),
)  # fmt: skip
"""The rooms of the table of recall; the gain of 24 dB clips hard."""


def random_room(random: np.random.Generator) -> Room:
    """Return a room for the training."""
    noise, snr, reverb, gain, pitch, band = "none", 0.0, 0.0, 0.0, 0.0, 0.0
    if happens(random, 0.75):
        kinds, shares = zip(*NOISES.items(), strict=True)
        noise = str(random.choice(kinds, p=np.array(shares)))
        snr = random.uniform(0 if noise == "household" else 3, 20)
    if happens(random, 0.4):
        reverb = random.uniform(0.2, 1.0)
    if happens(random, 0.5):
        gain = random.uniform(10, 24) if happens(random, 0.15) else random.uniform(-36, 6)
    if happens(random, 0.5):
        pitch = random.uniform(-4.5, 6)
    if happens(random, 0.1):
        band = random.uniform(3300, 6000)
    return Room(noise, snr, reverb, random.uniform(-6, 6), gain, pitch, band)


NOISES: Final = {"household": 0.35, "babble": 0.2, "television": 0.25, "music": 0.1, "fan": 0.1}
"""Kinds of noise, and how often the training has them."""


@dataclass(slots=True)
class Noises:
    """The noises of one side. Filled once; for one thread."""

    household: Sequence[Waves]
    talkers: Sequence[Waves]
    """Voices, each several seconds long."""
    random: np.random.Generator
    _babble: Waves = field(init=False)
    _television: Waves = field(init=False)

    def __post_init__(self) -> None:
        self._television = np.concatenate([self._talker() for _ in range(3)])
        self._babble = sum((self._talker() for _ in range(TALKERS)), np.zeros(1))

    def _talker(self) -> Waves:
        order = self.random.permutation(len(self.talkers))
        level = [self.talkers[place] / rms(self.talkers[place]) for place in order]
        return 1000 * np.resize(np.concatenate(level), seconds(TALK_S))

    def excerpt(self, kind: str, length: int, random: np.random.Generator) -> Waves:
        """Return ``length`` samples of a kind of noise, at an RMS of 1."""
        if kind == "music":
            noise = _music(length, random)
        elif kind == "fan" or (kind == "household" and not self.household):
            noise = _fan(length, random)
        else:
            place = int(random.integers(len(self.household))) if self.household else 0
            made = {"babble": self._babble, "television": self._television}
            noise = made[kind] if kind in made else self.household[place]
        start = int(random.integers(max(1, len(noise) - length)))
        part = np.resize(noise[start : start + length], length)
        return part / rms(part)


def noises_of(recordings: Recordings, side: Side, spoken: Sequence[Waves], seed: str) -> Noises:
    """Collect the noises of a side; ``spoken`` is ordinary speech of its voices."""
    household = [each.load() for each in recordings.of(side, "noise_ambience")]
    talkers = [each.load() for each in recordings.of(side, "neg_speech", "neg_meeting")]
    random = np.random.default_rng(sum(seed.encode()))
    return Noises(household, [*talkers, *spoken], random)


def play(
    waves: Waves, room: Room, noises: Noises, random: np.random.Generator, *, lead: int, tail: int
) -> tuple[Sound, float]:
    """Play speech in a room; return the sound, and by what positions in the speech are divided."""
    faster = 2 ** (room.semitones / 12)
    if room.semitones:
        waves = np.asarray(soxr.resample(waves, SAMPLE_RATE * faster, SAMPLE_RATE))
    waves = waves * (LEVEL / loudness(waves))
    if room.reverb_s:
        waves = _convolved(waves, _echoes(room, random))
        waves *= LEVEL / loudness(waves)
    heard = floor(lead + len(waves) + tail, random)
    heard[lead : lead + len(waves)] += waves
    if room.noise != "none":
        level = loudness(waves) * 10 ** (-room.snr_db / 20)
        heard += level * noises.excerpt(room.noise, len(heard), random)
    if room.band_hz:
        spectrum = np.fft.rfft(heard)
        spectrum[int(room.band_hz * len(heard) / SAMPLE_RATE) :] = 0
        heard = np.fft.irfft(spectrum, len(heard))
    return rounded(heard * 10 ** (room.gain_db / 20)), faster


def _echoes(room: Room, random: np.random.Generator) -> Waves:
    """Make an impulse response: noise that decays by 60 dB in the given time."""
    length = int(1.2 * room.reverb_s * SAMPLE_RATE)
    echoes = random.standard_normal(length) * 10 ** (
        -3 * np.arange(length) / room.reverb_s / SAMPLE_RATE
    )
    echoes[: seconds(0.003)] = 0
    echoes *= 10 ** (-room.direct_db / 20) / np.sqrt((echoes**2).sum())
    echoes[0] += 1
    return echoes


def _convolved(waves: Waves, echoes: Waves) -> Waves:
    """Convolve, and keep 0.3 s after the end."""
    length = 1 << (len(waves) + len(echoes)).bit_length()
    result = np.fft.irfft(np.fft.rfft(waves, length) * np.fft.rfft(echoes, length), length)
    return result[: len(waves) + seconds(0.3)]


def _fan(length: int, random: np.random.Generator) -> Waves:
    """Make steady noise whose level falls with the frequency."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    spectrum /= np.maximum(np.arange(len(spectrum)), 30) ** random.uniform(0.2, 1.0)
    return 1e4 * np.fft.irfft(spectrum, length)


def _music(length: int, random: np.random.Generator) -> Waves:
    """Make chords of four notes with overtones, over a beat."""
    time = np.arange(length) / SAMPLE_RATE
    beat = random.uniform(0.3, 0.7)
    waves = 0.1 * random.standard_normal(length) * np.exp(-20 * (time % beat))
    for first in np.arange(0, length / SAMPLE_RATE, 2 * beat):
        part = (time >= first) & (time < first + 2 * beat)
        decay = np.exp(-random.uniform(0.5, 4) * (time[part] - first))
        for note in random.choice(24, 4, replace=False):
            tone = 110 * 2 ** (note / 12)
            for overtone in range(1, 6):
                sine = np.sin(2 * np.pi * tone * overtone * time[part])
                waves[part] += decay * sine / overtone
    return 1000 * waves
