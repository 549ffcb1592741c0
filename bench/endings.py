"""Beginning and end of utterances: late ends, cut-offs, and pauses after the wake word."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from bench.listener import Heard, Listener
from bench.material import COMMANDS, WORDS, Clip, Collection, spread
from bench.percent import share
from bench.pictures import DelayPicture
from bench.scale import Scale
from bench.scene import (
    CLEAN,
    Room,
    Scene,
    Speech,
    after_a_pause,
    one_breath,
    play,
    rooms,
    sentences,
)
from bench.table import Figure, Row, Table
from jarvis_ear.hearing.utterance import CapturedUtterance
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE

BEFORE_S: Final = 1.5
"""Seconds of room noise before the wake word."""

LATE_S: Final = 2.0
"""Seconds after the last word; an end detected later, or never, is late."""

AFTER_S: Final = LATE_S + 0.5
"""Seconds of room noise after the last word: enough to detect a late end."""

PAUSES_S: Final = (1.0, 2.0, 3.0)
"""Pauses between "Hey Jarvis" and the command."""

SENTENCES: Final = 3
"""Utterances of each speaker, each after another wake word."""

LATE_PERCENT: Final = 2.0
CUT_PERCENT: Final = 1.0

SURE_DB: Final = 10
"""Signal-to-noise ratio in dB below which the targets do not apply."""


@dataclass(slots=True)
class Tally:
    """Results of the commands in one room."""

    spoken: int = 0
    woken: int = 0
    late: int = 0
    nothing: int = 0
    """Woken without any utterance; included in ``late``."""
    cut: int = 0
    """Ended before the end of the last word."""
    early: int = 0
    """Of these: ended before the first word of the command, because of another sound."""
    start_lost: int = 0
    """Begun after the beginning of the command, if that is known."""
    torn: int = 0
    """More than one utterance."""
    whole: int = 0
    """One utterance with the whole command, ended in time."""
    delays: list[float] = field(default_factory=list)
    """Seconds from the last word to the decision, if that was neither too early nor late."""


def endings(scale: Scale, collection: Collection) -> list[Table]:
    """Play commands in one breath with the wake word."""
    listener, notes, rows = Listener(), list[str](), list[tuple[str, Tally, Room]]()
    clips = collection.labelled(*COMMANDS)
    for room in rooms(scale.snrs_db, scale.altered):
        speeches = (one_breath(clip) for clip in spread(clips, _clips(scale, room)))
        tally = _count(listener, speeches, room, collection, notes)
        rows.append((str(room), tally, room))
    table = _table("Commands in one breath with the wake word", rows, collection, notes)
    delays = {name: tally.delays for name, tally, _ in rows}
    picture = DelayPicture("end-delays.png", "Delay of the end of an utterance", delays)
    return [replace(table, picture=picture)]


def pauses(scale: Scale, collection: Collection) -> list[Table]:
    """Play utterances from other recordings, after a pause."""
    listener, notes, rows = Listener(), list[str](), list[tuple[str, Tally, Room]]()
    speakers = sentences(collection.labelled("neg_commands", "neg_speech"))
    pairs = _pairs(collection.labelled(*WORDS), speakers, scale.noisy_clips)
    for room in rooms(scale.snrs_db, scale.altered):
        is_long = room is CLEAN or room.snr_db == SURE_DB
        for pause_s in PAUSES_S if is_long else PAUSES_S[:1]:
            speeches = (after_a_pause(word, speaker, pause_s) for word, speaker in pairs)
            tally = _count(listener, speeches, room, collection, notes)
            rows.append((f"{room}, pause {pause_s:g} s", tally, room))
    title = "Utterances from other recordings, a pause after the wake word"
    return [_table(title, rows, collection, notes)]


def _pairs(words: list[Clip], speakers: list[Clip], count: int) -> list[tuple[Clip, Clip]]:
    """Pair every speaker with several wake words."""
    if not speakers:
        return []
    calls = spread(words, min(count, SENTENCES * len(speakers)))
    return [(call, speakers[place % len(speakers)]) for place, call in enumerate(calls)]


def _clips(scale: Scale, room: Room) -> int:
    return scale.clean_clips if room is CLEAN else scale.noisy_clips


def _count(
    listener: Listener,
    speeches: Iterable[Speech],
    room: Room,
    collection: Collection,
    notes: list[str],
) -> Tally:
    tally = Tally()
    for speech in speeches:
        scene = play(speech, room, collection, before_s=BEFORE_S, after_s=AFTER_S)
        tally.spoken += 1
        heard = listener.hear(scene.sound)
        if heard.turns:
            tally.woken += 1
            faults = _judge(scene, heard, tally)
            notes += [f"{fault}, {room}: {scene.name}" for fault in faults]
    return tally


def _judge(scene: Scene, heard: Heard, tally: Tally) -> list[str]:
    """Count the faults of a capture, and return their descriptions."""
    if not heard.utterances:
        tally.late += 1
        tally.nothing += 1
        return ["no end within 2 s, or no utterance"]
    first = heard.utterances[0]
    faults = [*_start(scene, first, tally), *_end(scene, first, tally)]
    if len(heard.utterances) > 1:
        tally.torn += 1
        faults.append(f"{len(heard.utterances)} utterances")
    tally.whole += not faults
    return faults


def _start(scene: Scene, utterance: CapturedUtterance, tally: Tally) -> list[str]:
    if scene.command_starts is None or utterance.start <= scene.command_starts + FRAME_SAMPLES:
        return []
    tally.start_lost += 1
    lost = (utterance.start - scene.command_starts) / SAMPLE_RATE
    return [f"first {lost:.2f} s of the command lost"]


def _end(scene: Scene, utterance: CapturedUtterance, tally: Tally) -> list[str]:
    delay = (utterance.end - scene.speech_ends) / SAMPLE_RATE
    if delay < 0:
        tally.cut += 1
        early = utterance.end <= (scene.command_starts or 0)
        tally.early += early
        said = "ended before the command began" if early else f"cut off {-delay:.2f} s early"
        return [said]
    if delay > LATE_S:
        tally.late += 1
        return [f"ended {delay:.2f} s late"]
    tally.delays.append(delay)
    return []


def _table(
    title: str, rows: list[tuple[str, Tally, Room]], collection: Collection, notes: list[str]
) -> Table:
    return Table(
        title,
        (
            "room",
            "spoken",
            "woken",
            "late",
            "of it nothing",
            "cut off",
            "of it too early",
            "start lost",
            "torn",
            "whole",
            "delay p50",
            "p95",
        ),
        [_row(name, tally, room) for name, tally, room in rows],
        f"late <= {LATE_PERCENT:g} %, cut off <= {CUT_PERCENT:g} % of the woken, "
        f"clean and down to {SURE_DB} dB",
        [collection.describes, *notes],
    )


def _row(name: str, tally: Tally, room: Room) -> Row:
    binding = room.snr_db is None or room.snr_db >= SURE_DB
    return (
        name,
        str(tally.spoken),
        str(tally.woken),
        share(tally.late, tally.woken, LATE_PERCENT if binding else None, ".1f"),
        str(tally.nothing),
        share(tally.cut, tally.woken, CUT_PERCENT if binding else None, ".1f"),
        str(tally.early),
        str(tally.start_lost),
        str(tally.torn),
        share(tally.whole, tally.woken, form=".1f"),
        _delay(tally, 50),
        _delay(tally, 95),
    )


def _delay(tally: Tally, percent: int) -> Figure:
    return Figure(
        float(np.percentile(tally.delays, percent)) if tally.delays else float("nan"), ".2f", " s"
    )
