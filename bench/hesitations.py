"""Hesitations: commands with a pause in the middle, and sentences that seem to go on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bench.listener import Heard, Listener
from bench.material import WORDS, Clip, Collection, spread
from bench.percent import share
from bench.scale import Scale
from bench.scene import CLEAN, MUSIC, Room, Scene, play, repeated, sentences, with_a_pause
from bench.table import Figure, Row, Table
from jarvis_ear import config
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE

PAUSES_S: Final = (0.0, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)
"""Pauses in the middle of the command."""

ROOMS: Final = (
    CLEAN,
    Room("household", 20),
    Room("household", 10),
    Room("television", 20),
    Room("television", 10),
    Room("babble", 10),
    MUSIC,
    Room(rt60_s=0.5),
)

BEFORE_S: Final = 1.5
"""Seconds of the room before the wake word."""

AFTER_S: Final = 4.0
"""Seconds of the room after the last word: enough for the end of a sentence that goes on."""

CUT_PERCENT: Final = 5.0
"""The largest share of commands that do not arrive whole, for pauses up to ``SURE_S``."""

SURE_S: Final = 1.5

NEEDLESS_PERCENT: Final = 4.0
"""The largest share of commands after which the ear waits for a rest that is not spoken."""

GAPS_S: Final = (1.5, 2.5)
"""Seconds between the two wake words of somebody who is not sure of having been heard."""

THEN_S: Final = (0.9, 1.5)
"""Seconds between the second one and the command."""

OFF: Final = config.HearingOptions(endpointing=config.EndpointingOptions(go_on_ms=0))
"""An utterance ends for good at its first end."""


@dataclass(slots=True)
class Tally:
    """Results of the commands of one row."""

    woken: int = 0
    whole: int = 0
    """The newest utterance holds all of the command."""
    needless: int = 0
    """The ear listened for a rest although the command was over."""
    delays: list[float] = field(default_factory=list)
    """Seconds from the last word until the utterance with it was complete."""


def hesitations(scale: Scale, collection: Collection) -> list[Table]:
    """Play commands of real speakers with a pause in the middle, with and without going on."""
    listener, rows = Listener(), list[Row]()
    pairs = _pairs(collection, scale.noisy_clips)
    for room in ROOMS:
        for pause_s in PAUSES_S:
            scenes = _scenes(pairs, room, pause_s, collection)
            now, before = Tally(), Tally()
            for scene in scenes:
                _count(listener.hear(scene.sound), scene, now)
                _count(listener.hear(scene.sound, OFF), scene, before)
            rows.append(_row(room, pause_s, len(pairs), now, before))
    return [
        Table(
            "Commands with a pause in the middle",
            ("room", "pause", "spoken", "woken", "cut", "go_on_ms 0", "needless", "delay", "p95"),
            rows,
            f"cut <= {CUT_PERCENT:g} % up to {SURE_S:g} s, needless <= {NEEDLESS_PERCENT:g} %",
            [collection.describes],
        )
    ]


def _pairs(collection: Collection, count: int) -> list[tuple[Clip, Clip]]:
    commands = sentences(collection.labelled("neg_commands"))
    words = spread(collection.labelled(*WORDS), min(count, len(commands)))
    return list(zip(words, spread(commands, len(words)), strict=True))


def _scenes(
    pairs: list[tuple[Clip, Clip]], room: Room, pause_s: float, collection: Collection
) -> Iterator[Scene]:
    for word, command in pairs:
        speech = with_a_pause(word, command, pause_s)
        yield play(speech, room, collection, before_s=BEFORE_S, after_s=AFTER_S)


def _count(heard: Heard, scene: Scene, tally: Tally) -> None:
    if not heard.turns:
        return
    tally.woken += 1
    tally.needless += any(
        turn.continues and turn.at > scene.speech_ends + FRAME_SAMPLES for turn in heard.turns
    )
    for utterance in heard.utterances:
        if utterance.start <= (scene.command_starts or 0) and utterance.end >= scene.speech_ends:
            tally.whole += 1
            tally.delays.append((utterance.end - scene.speech_ends) / SAMPLE_RATE)
            return


def _row(room: Room, pause_s: float, spoken: int, now: Tally, before: Tally) -> Row:
    is_sure = pause_s <= SURE_S
    return (
        str(room),
        f"{pause_s:g} s",
        str(spoken),
        str(now.woken),
        share(now.woken - now.whole, now.woken, CUT_PERCENT if is_sure else None),
        share(before.woken - before.whole, before.woken),
        share(now.needless, now.woken, NEEDLESS_PERCENT),
        Figure(_percentile(now, 50), ".2f", " s"),
        Figure(_percentile(now, 95), ".2f", " s"),
    )


def _percentile(tally: Tally, percent: int) -> float:
    return float(np.percentile(tally.delays, percent)) if tally.delays else float("nan")


def twice(scale: Scale, collection: Collection) -> list[Table]:
    """Play the wake word twice, and then a command."""
    listener, rows = Listener(), list[Row]()
    pairs = _pairs(collection, scale.noisy_clips)
    for room in ROOMS:
        for gap_s in GAPS_S:
            tally = Tally()
            for then_s in THEN_S:
                for word, command in pairs:
                    speech = repeated(word, command, gap_s, then_s)
                    scene = play(speech, room, collection, before_s=BEFORE_S, after_s=AFTER_S)
                    _count(listener.hear(scene.sound), scene, tally)
            lost = share(tally.woken - tally.whole, tally.woken, 0.0)
            spoken = str(len(pairs) * len(THEN_S))
            rows.append((str(room), f"{gap_s:g} s", spoken, str(tally.woken), lost))
    columns = ("room", "gap", "spoken", "woken", "command lost")
    title = "The wake word said twice, then a command"
    return [Table(title, columns, rows, "none lost", [collection.describes])]
