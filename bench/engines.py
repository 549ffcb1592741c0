"""Engines of the backend: how many commands they get right, and what that costs on one core.

The commands are spoken by the voices of flite, at 16 kHz; each engine runs in a process of its own.
"""

import asyncio
import multiprocessing
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Final, Literal

import numpy as np

from bench.material import Collection
from bench.scale import Scale
from bench.sound import Sound, Waves, chance, loudness, rms, rounded, seconds, spoken
from bench.table import Figure, Row, Table
from jarvis_backend.config import BackendConfig, SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.conversation import Engines
from jarvis_backend.endpoints.turns import pcm_of
from jarvis_backend.engines.choose import choose_engines
from jarvis_backend.engines.engine import MissingEngine
from jarvis_backend.errors import EngineError
from jarvis_backend.household.spoken_numbers import normalised
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.units import SAMPLE_RATE

SENTENCES: Final = (
    "what time is it", "what is the date today", "set a timer for five minutes",
    "set a timer for twenty minutes", "cancel the timer", "how long is left on the timer",
    "wake me at seven thirty", "set an alarm for six in the morning", "stop", "louder please",
    "turn on the light", "turn off the light in the kitchen", "turn the heating down",
    "close the blinds in the bedroom", "open the garage door", "lock the front door",
    "play some music", "next song please", "pause the music", "add milk to the shopping list",
    "what is on the shopping list", "remind me to call my sister tomorrow", "is it going to rain",
    "what will the weather be like tomorrow", "how cold is it outside", "good morning",
    "good night", "thank you", "what did i say", "repeat the last answer",
    "what is fifteen times twelve", "how many cups are in a gallon",
    "how far is it to the station", "who is at the front door", "where is my phone",
    "tell me a joke",
)  # fmt: skip
"""36 sentences that people say at home."""

VOICES: Final = ("slt", "rms", "awb", "kal16")
"""Speakers of flite; sentences take turns."""

NOISE_DB: Final = 10
"""Signal-to-noise ratio of the noisy room."""

SILENCE: Final = np.zeros(seconds(0.5), np.int16)
"""Half a second before and after each sentence."""

SLICE: Final = seconds(0.1)
"""Samples that arrive at once where a person is heard live."""

KIB: Final = 1024

PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
"""The most memory that a process has had (proc(5))."""


@dataclass
class Found:
    """What the process of one engine reports."""

    error: str = ""
    texts: list[str] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)
    speech_s: float = 0.0
    """Length of the sound that it heard or made."""
    cpu_s: float = 0.0
    """Without loading."""
    memory_mib: float = 0.0
    partial_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)


def engines(scale: Scale, collection: Collection) -> list[Table]:
    """Measure every engine whose package and model are here."""
    sentences = SENTENCES[: scale.sentences]
    clean = [_said(text, VOICES[at % len(VOICES)]) for at, text in enumerate(sentences)]
    noises = [noise.waves for noise in collection.household]
    noisy = [_in_noise(sound, noises[at % len(noises)], at) for at, sound in enumerate(clean)]
    return [_recognisers(sentences, clean, noisy), _voices(sentences[: len(sentences) // 3 or 1])]


RECOGNISERS: Final = {
    "pocketsphinx": "BSD",
    "faster-whisper": "MIT (tiny.en: MIT)",
}
SPEAKERS: Final = {
    "flite": "BSD-like",
    "espeak-ng": "GPL-3",
    "espeak-library": "GPL-3",
    "piper": "GPL-3 (voice joe: CC0)",
}
"""Engines and their licences."""


def _recognisers(sentences: Sequence[str], clean: Sequence[Sound], noisy: Sequence[Sound]) -> Table:
    rows: list[Row] = []
    for name, licence in RECOGNISERS.items():
        found = _in_process(_recognise, name, [*clean, *noisy])
        if found.error:
            rows.append((name, found.error, *[""] * 6, licence))
            continue
        count = len(sentences)
        rows.append(
            (
                name,
                _right(sentences, found.texts[:count]),
                _right(sentences, found.texts[count:]),
                _wrong_words(sentences, found.texts[:count]),
                _wrong_words(sentences, found.texts[count:]),
                Figure(found.cpu_s / found.speech_s, ".2f", " s"),
                Figure(found.memory_mib, ".0f", " MiB"),
                _median(found.partial_s),
                licence,
            )
        )
    return Table(
        "Speech-to-text engines on one core",
        (
            "engine",
            "right, clean",
            f"at {NOISE_DB} dB",
            "wrong words, clean",
            f"at {NOISE_DB} dB",
            "CPU per s of sound",
            "memory",
            "first partial",
            "licence",
        ),
        rows,
        "",
        [
            "first partial: from the beginning of the speech, in real time",
            "memory: at most, beyond that of the backend; of a program that speaks: none stays",
        ],
    )


def _voices(sentences: Sequence[str]) -> Table:
    rows: list[Row] = []
    for name, licence in SPEAKERS.items():
        found = _in_process(_speak, name, sentences)
        if found.error:
            rows.append((name, found.error, *[""] * 3, licence))
            continue
        heard = _in_process(_recognise, "faster-whisper", found.sounds)
        rows.append(
            (
                name,
                heard.error or _right(sentences, heard.texts),
                Figure(found.cpu_s / found.speech_s, ".2f", " s"),
                Figure(found.memory_mib, ".0f", " MiB"),
                _median(found.first_s),
                licence,
            )
        )
    return Table(
        "Text-to-speech engines on one core",
        ("engine", "right", "CPU per s of speech", "memory", "sentence ready", "licence"),
        rows,
        "",
        ["right: sentences that faster-whisper understands; sentence ready: the median"],
    )


def _in_process(
    work: Callable[[str, Sequence[object]], Found], name: str, material: Sequence[object]
) -> Found:
    """Run ``work`` in a new process on one core."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_child, args=(work, name, material, sender))
    process.start()
    sender.close()
    try:
        found: Found = receiver.recv()
    except EOFError:
        found = Found("ended without a result")
    process.join()
    return found


def _child(
    work: Callable[[str, Sequence[object]], Found],
    name: str,
    material: Sequence[object],
    sender: Connection,
) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    before = _memory_mib()
    found = work(name, material)
    found.memory_mib -= before
    sender.send(found)


def _memory_mib() -> float:
    """Return the memory of this process at most until now, and that of its present children."""
    pids = Path("/proc/self/task", str(os.getpid()), "children").read_text().split()
    texts = (Path("/proc", pid, "status").read_text() for pid in ("self", *pids))
    return sum(int(found[1]) for text in texts if (found := PEAK.search(text))) / KIB


def _recognise(name: str, sounds: Sequence[object]) -> Found:
    stt: Literal["pocketsphinx", "faster-whisper"] = (
        "pocketsphinx" if name == "pocketsphinx" else "faster-whisper"
    )
    options = SpeechToTextOptions(engine=stt)
    config = BackendConfig(stt=options, tts=TextToSpeechOptions(engine="none"))
    given = [each for each in sounds if isinstance(each, np.ndarray)]
    return asyncio.run(_transcribe(lambda: choose_engines(config), given))


async def _transcribe(make: Callable[[], Engines], sounds: Sequence[Sound]) -> Found:
    found = Found()
    made = make()
    try:
        if isinstance(made.stt, MissingEngine):
            return Found(made.stt.reason)
        await made.stt.prepare()
        began = _cpu_s()
        for sound in sounds:
            try:
                found.texts.append(await made.stt.transcribe(sound))
            except EngineError as error:
                found.texts.append(str(error))
            found.speech_s += len(sound) / SAMPLE_RATE
        found.memory_mib = _memory_mib()
    finally:
        await made.aclose()
    found.cpu_s = _cpu_s(began)
    made = make()
    try:
        await made.stt.prepare()
        for sound in sounds[: len(sounds) // 2 : 6]:
            found.partial_s += await _first_partial(made, sound)
    finally:
        await made.aclose()
    return found


async def _first_partial(made: Engines, sound: Sound) -> list[float]:
    """Return how long after the beginning of the speech the first words are known."""
    listening = made.stt.listen()
    began = time.monotonic()
    speech_s = spoken(sound)[0] / SAMPLE_RATE
    try:
        for at in range(0, len(sound), SLICE):
            await asyncio.sleep(began + (at + SLICE) / SAMPLE_RATE - time.monotonic())
            if await listening.feed(sound[at : at + SLICE]):
                return [time.monotonic() - began - speech_s]
    finally:
        await listening.aclose()
    return []


def _speak(name: str, sentences: Sequence[object]) -> Found:
    options = TextToSpeechOptions.model_validate({"engine": name})
    made = choose_engines(BackendConfig(stt=SpeechToTextOptions(engine="none"), tts=options))
    return asyncio.run(_synthesise(made, [str(each) for each in sentences]))


async def _synthesise(made: Engines, sentences: Sequence[str]) -> Found:
    found = Found()
    try:
        if isinstance(made.tts, MissingEngine):
            return Found(made.tts.reason)
        await made.tts.prepare()
        began = _cpu_s()
        for sentence in sentences:
            asked = time.monotonic()
            speech = await made.tts.speak(sentence.capitalize() + ".")
            found.first_s.append(time.monotonic() - asked)
            sound = np.frombuffer(pcm_of(speech), "<i2")
            found.speech_s += len(sound) / SAMPLE_RATE
            found.sounds.append(np.concatenate([SILENCE, sound, SILENCE]))
        found.memory_mib = _memory_mib()
    finally:
        await made.aclose()
    found.cpu_s = _cpu_s(began)
    return found


def _cpu_s(since: float = 0.0) -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system - since


def _said(text: str, voice: str) -> Sound:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "said.wav")
        subprocess.run(  # noqa: S603 - our words
            ["flite", "-voice", voice, "-t", text, "-o", path],  # noqa: S607 - of the system
            check=True,
            timeout=30,
        )
        sound = decode_wav(path.read_bytes(), max_seconds=30)
    return np.concatenate([SILENCE, sound.mono(), SILENCE])


def _in_noise(sound: Sound, noise: Waves, number: int) -> Sound:
    """Add noise below the loud parts of the speech."""
    at = int(chance("engines", number).integers(max(1, len(noise) - len(sound))))
    part = np.resize(noise[at:], len(sound))
    return rounded(sound + part * (loudness(sound) / rms(part) * 10 ** (-NOISE_DB / 20)))


def _right(expected: Sequence[str], texts: Sequence[str]) -> str:
    right = sum(_plain(text) == _plain(said) for text, said in zip(texts, expected, strict=True))
    return f"{right} of {len(expected)}"


def _plain(text: str) -> str:
    """Return the words of a text without differences of spelling."""
    return normalised(text).replace(".", "").replace(":", " ")


def _wrong_words(expected: Sequence[str], texts: Sequence[str]) -> Figure:
    pairs = [
        (_plain(said).split(), _plain(text).split())
        for said, text in zip(expected, texts, strict=True)
    ]
    wrong = sum(_distance(said, heard) for said, heard in pairs)
    return Figure(100 * wrong / sum(len(said) for said, _ in pairs), ".0f", " %")


def _distance(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return how many words must be changed, added or removed."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, start=1):
        above, row = row, [number]
        for at, other in enumerate(heard, start=1):
            row.append(min(above[at] + 1, row[-1] + 1, above[at - 1] + (word != other)))
    return row[-1]


def _median(values: Sequence[float]) -> Figure | str:
    return Figure(1000 * median(values), ".0f", " ms") if values else "-"
