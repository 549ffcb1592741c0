"""Wake words over a reply: said by a person, and by the reply itself.

The echo is simulated: a loudspeaker that distorts mildly, a direct path, and a reverberation of
0.3 s. The reply is synthesised, as that of the backend is.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import soxr

from bench.material import WORDS, Clip, Collection, spread
from bench.percent import share
from bench.scale import Scale
from bench.scene import LEVEL, word_alone
from bench.sound import Sound, Waves, chance, floor, loudness, rms, rounded, seconds
from bench.table import Cell, Figure, Row, Table
from jarvis_ear import config
from jarvis_ear.audio.echo_path import EchoPath, SelfEcho
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.hearing.wake import WakeDecider
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, STEP_SAMPLES, Samples

VOICES: Final = (
    ("flite", "slt"),
    ("flite", "awb"),
    ("espeak-ng", "en-gb"),
    ("espeak-ng", "en-us+f4"),
    ("espeak-ng", "en-gb-x-rp+m7"),
)
"""Programs with a voice each. The constants of the canceller were chosen with other voices."""

PEOPLE: Final = "pos_spliced_real"
"""Label of wake words of real people."""

REPLY: Final = (
    "Tomorrow will be cloudy in the morning, with some sunshine later on. ",
    "The temperature rises to eighteen degrees, and there is little wind. ",
    "The timer for the pasta has four minutes left. Shall I start another one for you? ",
    "I have turned off the lights in the kitchen, and the front door is locked. ",
    "To get to the museum, take the second street on the left and cross the river. ",
    "It opens at nine and closes at six, and on Mondays it is closed. ",
)
"""Sentences of the replies."""

OWN_WORDS: Final = (
    "The wake word is hey jarvis. You can change it at any time.",
    "To stop me, say hey jarvis, and then your command.",
    "Hey jarvis is the name that you chose for me.",
    "He opened the door and called, hey jarvis, where are you?",
    "You said hey jarvis three times today.",
    "Try it again: hey jarvis, turn on the light.",
)
"""Replies that say the wake word."""

ECHOES_DB: Final = ((0, 10.0), (6, 15.0), (12, 35.0))
"""Level of the echo relative to the person, and the target: percent of wake words missed."""

DRIFTS_PPM: Final = (0, 50, 100)
"""Drift between the clocks of loudspeaker and microphone."""

WORD_AT_S: Final = (5.0, 1.5)
"""Seconds from the start of the reply to the wake word; the target holds for the first."""

FIRST_REPLY_S: Final = 6.0
PAUSE_S: Final = 3.0
"""Lengths of an earlier reply in the same room, and of the silence after it."""

AFTER_S: Final = 3.2
"""Seconds from the start of the wake word in which it has to be found."""

MOST_DELAY_MS: Final = 300
"""Delays are spread from 0 to this, plus the 20 ms of the room."""

FAR_LEVEL: Final = 3277.0
"""-20 dBFS: level of the reply as it is sent to the loudspeaker."""

AHEAD: Final = 1600
"""Samples that are written to the loudspeaker before they sound."""

WARM_UP: Final = 2
"""Steps by which a detection may precede the recording of the word."""


@dataclass(frozen=True, slots=True)
class Echo:
    """A reply as the microphone hears it, and as it was played, all of the same length."""

    microphone: Sound
    far: Sound
    person: Sound
    """The microphone without the echo."""


@dataclass(slots=True)
class Tally:
    """Results of one row."""

    words: int = 0
    alone: int = 0
    """Found without a reply."""
    as_it_is: int = 0
    known: int = 0
    """Found with the echo cancelled, and its delay known from an earlier run."""
    unknown: int = 0
    """The same with the delay, and the drift, to be found in this reply."""
    vetoed: int = 0
    """Found, but taken for the ear's own."""


def echo(scale: Scale, collection: Collection) -> list[Table]:
    """Count wake words over a reply, with and without the echo canceller."""
    voices = installed()
    people = collection.labelled(PEOPLE) or collection.labelled(*WORDS)
    words = spread(people, max(1, scale.noisy_clips // 2))
    if not voices:
        return [
            Table("Wake words over a reply", ("not measured",), [], notes=["no flite, espeak-ng"])
        ]
    listener = Listener()
    replies = ["".join(REPLY[place:] + REPLY[:place]) for place in range(len(REPLY))]
    spoken = [(voice, text) for text in replies for voice in voices]
    material = [
        f"replies by {', '.join(' '.join(voice) for voice in voices)}",
        collection.describes,
    ]
    return [
        _first_replies(listener, words, spoken, material),
        _drifting(listener, words, spoken, material),
        _own_words(listener, [(voice, text) for voice in voices for text in OWN_WORDS], scale),
    ]


Spoken: TypeAlias = tuple[tuple[str, str], str]
"""A voice, and the text that it says."""


def installed() -> list[tuple[str, str]]:
    """Return the voices that this machine has."""
    return [(program, voice) for program, voice in VOICES if shutil.which(program)]


class Listener:
    """A wake model and the ear's decision, for the microphone and for the far end."""

    def __init__(self) -> None:
        self._model = OpenWakeWord()

    def scores(self, sound: Sound) -> list[float]:
        """Return the score of each step."""
        self._model.reset()
        whole = len(sound) // STEP_SAMPLES * STEP_SAMPLES
        return self._model.score(sound[:whole].tobytes())

    def detections(self, sound: Sound) -> list[int]:
        """Return the positions of the detections."""
        decider = WakeDecider(config.WakeOptions().all_words[0], config.WakeOptions().refractory_ms)
        scores = zip(self.scores(sound), range(len(sound)), strict=False)
        ends = ((score, Samples((step + 1) * STEP_SAMPLES)) for score, step in scores)
        return [at for score, at in ends if decider.decide(score, at)]


def _first_replies(
    listener: Listener, words: Sequence[Clip], spoken: Sequence[Spoken], material: list[str]
) -> Table:
    rows: list[Row] = []
    for at_s in WORD_AT_S:
        for echo_db, most in ECHOES_DB:
            tally = Tally()
            for place, word in enumerate(words):
                scene, start = _over_a_reply(place, word, spoken, at_s=at_s, echo_db=echo_db)
                _add(listener, scene, start, tally, delay=_delay(place))
            target = most if at_s == WORD_AT_S[0] else None
            rows.append((f"{at_s:g} s", f"{echo_db:+d} dB", *_cells(tally, target)))
    return Table(
        "Wake words of a person over the first reply",
        ("word at", "echo", *_COLUMNS),
        rows,
        "missed with an unknown delay <= 10, 15, 35 % for a word at 5 s; none vetoed",
        [
            f"delay 20 to {MOST_DELAY_MS + 20} ms; in brackets 95 % intervals (Wilson)",
            *material,
        ],
    )


def _drifting(
    listener: Listener, words: Sequence[Clip], spoken: Sequence[Spoken], material: list[str]
) -> Table:
    rows: list[Row] = []
    for ppm in DRIFTS_PPM:
        for at_s, earlier in ((5.0, False), (1.5, False), (1.5, True)):
            tally = Tally()
            for place, word in enumerate(words):
                scene, start = _over_a_reply(
                    place, word, spoken, at_s=at_s, echo_db=0, ppm=ppm, earlier=earlier
                )
                _add(listener, scene, start, tally, delay=_delay(place), drift=-ppm * 1e-6)
            which = "a later reply" if earlier else "the first reply"
            rows.append((f"{ppm} ppm", f"{which}, {at_s:g} s", *_cells(tally, None)))
    return Table(
        "Wake words over a reply while the clocks drift, echo 0 dB",
        ("drift", "word in", *_COLUMNS),
        rows,
        notes=["later: after a reply of 6 s and a pause of 3 s in the same room", *material],
    )


def _own_words(listener: Listener, spoken: Sequence[Spoken], scale: Scale) -> Table:
    rows: list[Row] = []
    chosen = spoken[: max(1, scale.noisy_clips)]
    for echo_db in (-6, 0, 12):
        as_it_is = cancelled = left = 0
        for place, each in enumerate(chosen):
            far = np.concatenate((np.zeros(seconds(0.5)), reply(*each), np.zeros(seconds(2))))
            scene = _played(
                far, np.zeros(len(far)), chance("own", place), echo_db=echo_db, delay=_delay(place)
            )
            path, own = EchoPath(), SelfEcho()
            for step, score in enumerate(listener.scores(scene.far)):
                own.add((step + 1) * STEP_SAMPLES, score)
            found = listener.detections(_cancelled(scene, path))
            as_it_is += bool(listener.detections(scene.microphone))
            cancelled += bool(found)
            left += any(not own.is_own(at, path.delay) for at in found)
        of = len(chosen)
        shares = (share(count, of) for count in (as_it_is, cancelled))
        rows.append((f"{echo_db:+d} dB", str(of), *shares, Figure(left, "d", at_most=0)))
    return Table(
        "Wake words of the reply itself",
        ("echo", "replies", "woken as it is", "cancelled", "and vetoed"),
        rows,
        "none wakes the ear",
        ["cancelled: the ear hears what the canceller leaves; vetoed: it knows what it said"],
    )


_COLUMNS: Final = ("words", "found alone", "as it is", "delay known", "unknown", "missed", "vetoed")


def _cells(tally: Tally, most: float | None) -> tuple[Cell, ...]:
    found = (tally.alone, tally.as_it_is, tally.known, tally.unknown)
    missed = 100 * (1 - tally.unknown / tally.words) if tally.words else float("nan")
    return (
        str(tally.words),
        *(share(count, tally.words) for count in found),
        Figure(missed, ".0f", " %", most),
        Figure(tally.vetoed, "d", at_most=0),
    )


def _add(
    listener: Listener,
    scene: Echo,
    start: int,
    tally: Tally,
    *,
    delay: int,
    drift: float = 0.0,
) -> None:
    own = SelfEcho()
    for step, score in enumerate(listener.scores(scene.far)):
        own.add((step + 1) * STEP_SAMPLES, score)
    tally.words += 1
    tally.alone += _is_found(listener.detections(scene.person), start)
    tally.as_it_is += _is_found(listener.detections(scene.microphone), start)
    tally.known += _is_found(listener.detections(_cancelled(scene, EchoPath(delay, drift))), start)
    path = EchoPath()
    found = listener.detections(_cancelled(scene, path))
    tally.unknown += _is_found(found, start)
    tally.vetoed += sum(own.is_own(at, path.delay) for at in found if _is_found([at], start))


def _is_found(detections: list[int], start: int) -> bool:
    earliest = start - WARM_UP * STEP_SAMPLES
    return any(earliest <= at <= start + seconds(AFTER_S) for at in detections)


def _cancelled(scene: Echo, path: EchoPath) -> Sound:
    """Run a scene through the echo path as the ear does: far end ahead, then frame by frame."""
    heard = bytearray()
    played = 0
    for start in range(0, len(scene.far) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        until = min(len(scene.far), start + AHEAD)
        path.far(scene.far[played:until].tobytes(), played)
        played = until
        heard += path.hear(scene.microphone[start : start + FRAME_SAMPLES].tobytes(), start)
    return np.frombuffer(bytes(heard), np.int16)


def _over_a_reply(
    place: int,
    word: Clip,
    spoken: Sequence[Spoken],
    *,
    at_s: float,
    echo_db: int,
    ppm: int = 0,
    earlier: bool = False,
) -> tuple[Echo, int]:
    """Say a wake word over a reply; return the scene and where the word starts."""
    random = chance("echo", word.name)
    speech = word_alone(word).waves
    far = excerpt(spoken[place % len(spoken)], seconds(at_s + AFTER_S), random)
    if earlier:
        before = excerpt(spoken[(place + 1) % len(spoken)], seconds(FIRST_REPLY_S), random)
        far = np.concatenate((before, np.zeros(seconds(PAUSE_S)), far))
    start = len(far) - seconds(AFTER_S)
    person = np.zeros(max(len(far), start + len(speech)))
    person[start : start + len(speech)] = speech * (LEVEL / loudness(speech))
    person = person[: len(far)]
    return _played(far, person, random, echo_db=echo_db, delay=_delay(place), ppm=ppm), start


def excerpt(spoken: Spoken, length: int, random: np.random.Generator) -> Waves:
    """Return ``length`` samples of a reply, from a random place on."""
    sound = reply(*spoken)
    return np.roll(sound, -int(random.integers(len(sound))))[:length]


def _played(
    far: Waves,
    person: Waves,
    random: np.random.Generator,
    *,
    echo_db: int,
    delay: int,
    ppm: int = 0,
) -> Echo:
    """Play ``far`` in a room, ``echo_db`` louder than a person."""
    room = response(random)
    loud = np.tanh(0.8 * _drifted(far, ppm) / 32768) / 0.8
    wet = np.concatenate((np.zeros(delay), np.convolve(loud, room), np.zeros(len(far))))[: len(far)]
    wet *= LEVEL * 10 ** (echo_db / 20) / max(np.sqrt((wet**2).mean()), 1e-9)
    alone = person + floor(len(far), random)
    heard = alone + wet
    scale = min(1.0, 29_000 / np.abs(heard).max())  # as the gain of the microphone is set
    return Echo(rounded(heard * scale), rounded(far), rounded(alone))


def response(random: np.random.Generator) -> Waves:
    """Return the response of a room to one sample: direct sound and 0.3 s of reverberation."""
    tail = random.standard_normal(seconds(0.3)) * np.exp(-6.9 * np.linspace(0, 1, seconds(0.3)))
    return np.concatenate(([1.0], tail / np.sqrt((tail**2).sum()) / 2))


def _drifted(sound: Waves, ppm: int) -> Waves:
    """Play ``sound`` on a clock that is faster by ``ppm``."""
    fine = soxr.resample(sound, SAMPLE_RATE, 8 * SAMPLE_RATE)
    at = np.arange(len(sound)) * 8 * (1 + ppm * 1e-6)
    late: Waves = np.interp(at, np.arange(len(fine)), fine)
    return late


def _delay(place: int) -> int:
    """Return one of the delays, in samples."""
    return seconds((20 + place * 61 % (MOST_DELAY_MS + 1)) / 1000)


@cache
def reply(voice: tuple[str, str], text: str) -> Waves:
    """Synthesise a reply, at the level at which it is played."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reply.wav"
        program, name = voice
        rest = ("-t", text, "-o") if program == "flite" else ("-s", "160", text, "-w")
        flag = "-voice" if program == "flite" else "-v"
        subprocess.run([program, flag, name, *rest, file], check=True)  # noqa: S603 - see VOICES
        wav = decode_wav(file.read_bytes(), max_seconds=120)
    sound = wav.mono().astype(np.float64)
    if wav.rate != SAMPLE_RATE:
        sound = soxr.resample(sound, wav.rate, SAMPLE_RATE)
    return sound * (FAR_LEVEL / rms(sound))
