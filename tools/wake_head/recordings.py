"""Recordings of people and of households, split by speaker, with the splices made from them."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from bench.material import MANIFEST, ORDINARY, Clip
from bench.sound import Waves, chance, loudness, powers, spoken
from wake_head.phrases import Side

LICENCES: Final = ("Apache-2.0", "MIT", "CC (per-file", "CC/Apache", "CC BY", "CC0", "synthetic")
"""How the licence of a recording begins that may be trained on. Those of the Mycroft Precise
community ("per-file") are in the public domain, by the statements in its folder ``licenses``."""

RESTRICTED: Final = re.compile(r"\bN[CD]\b")
"""Not for commercial use, or no derivatives."""

UNCLEAR: Final = ("donald_trump",)
"""Parts of file names of recordings of unknown origin inside a collection with a licence."""

SPLICE: Final = re.compile(r'"hey" (?P<hey>\S+) \+ "jarvis" (?P<name>\S+)')
VOICE: Final = re.compile(r"voice=(\S+)")

SERIES: Final = re.compile(r"(\d+)-\d+-\d+$|(?:not-)?wakeword-(es)-")
"""Names of recordings of which one speaker made many: those of LibriSpeech, and one of Mycroft."""

TRAINING_SHARE: Final = 0.60
DEVELOPMENT_SHARE: Final = 0.75
"""Shares of speakers: up to the first for training, up to the second for development."""

DEVELOPMENT_VOICES: Final = ("mb-us1", "mb-us3", "mb-de", "alan", "lyubov", "m7", "f2")
JUDGING_VOICES: Final = (
    "mb-us2", "mb-en1", "mb-nl", "mb-ro", "mb-fr", "mb-gr", "mb-af", "mb-sw", "bdl", "clb",
    "evgeniy", "ked", "en-US", "en-GB", "m3", "f4", "f5", "awb",
)  # fmt: skip
"""Voices of the synthesised recordings of a collection; none of them is used in training."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording, with what it is for."""

    clip: Clip
    speaker: str
    """As far as it is known: the name of a voice, or of the recording that it comes from."""
    side: Side | None
    """None: not used."""
    trainable: bool
    """Whether its licence allows training."""

    def load(self) -> Waves:
        """Read the recording."""
        return self.clip.load().astype(np.float64)


@dataclass(frozen=True, slots=True)
class Word:
    """A word cut out of a recording of a person."""

    speaker: str
    waves: Waves


class Recordings:
    """The recordings of one folder, or none. Read-only; for one thread."""

    def __init__(self, folder: Path | None) -> None:
        self._all = [] if folder is None else list(_listed(folder / MANIFEST))

    def of(self, side: Side, *labels: str) -> list[Recording]:
        """Return those of a side with one of these labels, for training only if it is allowed."""
        return [
            each
            for each in self._all
            if each.side == side
            and each.clip.label in labels
            and (side == "judging" or each.trainable)
        ]

    def ordinary(self, side: Side) -> list[Recording]:
        """Return ordinary speech, without noises."""
        return self.of(side, *(label for label in ORDINARY if label != "noise_ambience"))

    @cached_property
    def _halves(self) -> dict[str, tuple[list[Word], list[Word]]]:
        found: dict[str, tuple[list[Word], list[Word]]] = {}
        for side in ("training", "development", "judging"):
            pairs = [_halved(each) for each in self.of(side, "pos_spliced_real")]
            found[side] = ([hey for hey, _ in pairs], [name for _, name in pairs])
        return found

    def words(self, side: Side) -> tuple[list[Word], list[Word]]:
        """Return each "hey" and each "jarvis" of real people of a side."""
        return self._halves[side]


def joined(first: Word, second: Word, random: np.random.Generator) -> Waves:
    """Join two words at one level, with at most 60 ms between them."""
    gap = np.zeros(int(random.uniform(0, 960)))
    level = loudness(first.waves) / loudness(second.waves) * 10 ** random.uniform(-0.15, 0.15)
    return np.concatenate((first.waves, gap, second.waves * level))


def _halved(recording: Recording) -> tuple[Word, Word]:
    """Cut a splice where it is quietest, 100 to 450 ms after its start."""
    waves = recording.load()
    start, end = spoken(waves)
    power = np.convolve(np.log(powers(waves) + 1), np.ones(3) / 3, "same")
    first = start // 160 + 10
    cut = (first + int(np.argmin(power[first : first + 35]))) * 160
    fade = np.linspace(0, 1, 160)
    hey, name = waves[start:cut].copy(), waves[cut:end].copy()
    hey[-160:] *= fade[::-1]
    name[:160] *= fade
    return Word(recording.speaker, hey), Word(recording.speaker, name)


def _listed(manifest: Path) -> Sequence[Recording]:
    with manifest.open(newline="") as lines:
        return [_recording(row, manifest.parent) for row in csv.DictReader(lines)]


def _recording(row: dict[str, str], folder: Path) -> Recording:
    clip = Clip(row["file"], row["label"], row["said"], folder / row["file"])
    clear = not any(part in row["file"] for part in UNCLEAR)
    free = row["licence"].startswith(LICENCES) and not RESTRICTED.search(row["licence"])
    trainable = clear and free
    splice, voice = SPLICE.match(row["source"]), VOICE.search(row["source"])
    if voice is not None:
        return Recording(clip, voice[1], _side_of_voice(voice[1]), trainable)
    speaker = Path(splice["hey"] if splice else row["source"]).stem
    if series := SERIES.match(speaker):
        speaker = series[1] or series[2]
    return Recording(clip, speaker, _side_of_speaker(speaker), trainable)


def _side_of_speaker(speaker: str) -> Side:
    place = chance("speaker", speaker).random()
    if place < TRAINING_SHARE:
        return "training"
    return "development" if place < DEVELOPMENT_SHARE else "judging"


def _side_of_voice(voice: str) -> Side | None:
    variant = voice.rsplit("+", maxsplit=1)[-1]
    if variant.startswith(DEVELOPMENT_VOICES):
        return "development"
    return "judging" if variant.startswith(JUDGING_VOICES) else None
