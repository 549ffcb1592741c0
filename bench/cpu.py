"""CPU seconds per hour of sound, back to back and in real time."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from bench.listener import ALWAYS, GATED, end_turn, make_ear
from bench.material import COMMANDS, Collection, quiet_room, spread
from bench.scale import Scale
from bench.scene import CLEAN, one_breath, play
from bench.sound import Sound, rounded, seconds
from bench.table import Figure, Row, Table
from jarvis_ear import config
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.units import SAMPLE_RATE, Samples

HOUR_S: Final = 3600

BLOCK: Final = 640
"""Samples per block: 40 ms, as from capture."""

SLICE_S: Final = 5
"""Seconds for which one gate is measured in turn, so that other load affects all gates alike."""

PAUSE_S: Final = 5.0
"""Silence between two commands in a row."""


def cpu(scale: Scale, collection: Collection) -> list[Table]:
    """Process the same sound with each gate in turn, slice by slice, as fast as possible."""
    rows: list[Row] = []
    for room, sound in _rooms(scale.cpu_s, collection):
        floor, gated, always = _back_to_back(sound)
        rows.append((room, *_figures(floor, gated, always)))
    return [
        Table(
            "CPU seconds per hour of sound, back to back",
            ("room", "floor", "vad", "always", "vad / always"),
            rows,
            "",
            [
                "floor: the same blocks through the framer, frames not processed",
                collection.describes,
            ],
        )
    ]


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


def _figures(floor: float, gated: float, always: float) -> tuple[Figure, ...]:
    return (
        Figure(floor, ".2f"),
        Figure(gated, ".1f"),
        Figure(always, ".1f"),
        Figure(100 * gated / always, ".0f", " %"),
    )


def _back_to_back(sound: Sound) -> list[float]:
    ears = [_nobody(), _ear(GATED), _ear(ALWAYS)]
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


def _ear(hearing: config.HearingOptions) -> Callable[[Block], None]:
    framer, ear = Framer(), make_ear(hearing)

    def hear(block: Block) -> None:
        for frame in framer.push(block):
            for effect in ear.hear(frame):
                end_turn(ear, effect)

    return hear
