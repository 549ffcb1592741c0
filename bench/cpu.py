"""CPU seconds per hour of sound, back to back and in real time."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from bench.listener import ALWAYS, GATED, LIGHT, end_turn, make_ear
from bench.material import COMMANDS, Collection, quiet_room, spread
from bench.scale import Scale
from bench.scene import CLEAN, one_breath, play
from bench.sound import Sound, rounded, seconds
from bench.table import Figure, Row, Table
from jarvis_ear import config
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.config import SHIPPED_WORDS
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.hearing.wake_detector import MAX_WAITING_STEPS
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE, STEP_SAMPLES, Samples

HOUR_S: Final = 3600

BLOCK: Final = 640
"""Samples per block: 40 ms, as from capture."""

SLICE_S: Final = 5
"""Seconds for which one gate is measured in turn, so that other load affects all gates alike."""

MORE_SHARE: Final = 5.0
"""Target: per cent of the first word's CPU that each further word costs."""

PAUSE_S: Final = 5.0
"""Silence between two commands in a row."""


def cpu(scale: Scale, collection: Collection) -> list[Table]:
    """Process the same sound with each gate in turn, slice by slice, as fast as possible."""
    rows: list[Row] = []
    for room, sound in _rooms(scale.cpu_s, collection):
        rows.append((room, *_figures(*_back_to_back(sound))))
    return [
        Table(
            "CPU seconds per hour of sound, back to back",
            ("room", "floor", "vad", "light", "always", "vad / always"),
            rows,
            "",
            [
                "floor: the same blocks through the framer, frames not processed",
                "light: `vad` with `hearing.wake.effort` = `light`",
                collection.describes,
            ],
        ),
        _words(scale, collection),
    ]


def _words(scale: Scale, collection: Collection) -> Table:
    """Score the same speech for one, two and more words, each slice with all of them in turn."""
    talk = np.resize(collection.talk, seconds(scale.cpu_s))
    counts = range(1, len(SHIPPED_WORDS) + 1)
    scorers = [_scorer(SHIPPED_WORDS[:count]) for count in counts]
    one, *others = _spent(talk, scorers)
    rows: list[Row] = [("1", Figure(one, ".1f"), "")]
    for count, spent in zip(counts[1:], others, strict=True):
        more = 100 * (spent - one) / one / (count - 1)
        rows.append((str(count), Figure(spent, ".1f"), Figure(more, ".1f", " %", MORE_SHARE)))
    return Table(
        "Several wake words: CPU seconds of their networks per hour of speech",
        ("words", "CPU s/h", "a further word, of the first"),
        rows,
        f"a further word <= {MORE_SHARE:g} % of the first",
        ["without second looks, and without what a word costs that wakes the ear"],
    )


def _rooms(length_s: float, collection: Collection) -> Iterator[tuple[str, Sound]]:
    yield "quiet", quiet_room("cpu", length_s)
    share = seconds(length_s) // len(collection.household)
    noises = [np.resize(noise.waves, share) for noise in collection.household]
    yield "household noise", rounded(np.concatenate(noises))
    yield "speech", np.resize(collection.talk, seconds(length_s))
    yield "commands", _commands(length_s, collection)


def _commands(length_s: float, collection: Collection) -> Sound:
    clips = spread(collection.labelled(*COMMANDS), 1 + int(length_s) // 8)
    scenes = [
        play(one_breath(clip), CLEAN, collection, before_s=0, after_s=PAUSE_S).sound
        for clip in clips
    ]
    return np.resize(np.concatenate(scenes), seconds(length_s))


def _figures(floor: float, gated: float, light: float, always: float) -> tuple[Figure, ...]:
    return (
        Figure(floor, ".2f"),
        Figure(gated, ".1f"),
        Figure(light, ".1f"),
        Figure(always, ".1f"),
        Figure(100 * gated / always, ".0f", " %"),
    )


def _back_to_back(sound: Sound) -> list[float]:
    return _spent(sound, [_nobody(), _ear(GATED), _ear(LIGHT), _ear(ALWAYS)])


def _spent(sound: Sound, ears: Sequence[Callable[[Block], None]]) -> list[float]:
    """Return the CPU seconds per hour of each, one slice of sound after the other."""
    spent = [0.0] * len(ears)
    whole = len(sound) // BLOCK * BLOCK
    step = seconds(SLICE_S) // BLOCK * BLOCK
    for start in range(0, whole, step):
        blocks = list(_blocks(sound, start, min(start + step, whole)))
        for place, hear in enumerate(ears):
            spent[place] += _cost(hear, blocks)
    return [cost / whole * SAMPLE_RATE * HOUR_S for cost in spent]


def _blocks(sound: Sound, start: int, end: int) -> Iterator[Block]:
    for at in range(start, end, BLOCK):
        yield Block(Samples(at), sound[at : at + BLOCK].tobytes())


def _cost(hear: Callable[[Block], None], blocks: list[Block]) -> float:
    began = time.process_time()
    for block in blocks:
        hear(block)
    return time.process_time() - began


def _nobody() -> Callable[[Block], None]:
    framer = Framer()

    def hear(block: Block) -> None:
        framer.push(block)

    return hear


def _scorer(words: Sequence[str]) -> Callable[[Block], None]:
    """Score three steps at a time, as the ear does while nobody says a wake word."""
    model, waiting = OpenWakeWord(words), bytearray()
    step = MAX_WAITING_STEPS * STEP_SAMPLES * SAMPLE_BYTES

    def hear(block: Block) -> None:
        waiting.extend(block.data)
        if len(waiting) >= step:
            model.score(bytes(waiting[:step]))
            del waiting[:step]
            for word in range(1, len(words)):
                model.score_word(word)

    return hear


def _ear(hearing: config.HearingOptions) -> Callable[[Block], None]:
    framer, ear = Framer(), make_ear(hearing)

    def hear(block: Block) -> None:
        for frame in framer.push(block):
            for effect in ear.hear(frame):
                end_turn(ear, effect)

    return hear
