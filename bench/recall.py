"""Recall of the gate against without it, false captures, and false accepts."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.listener import ALWAYS, GATED, Heard, Listener
from bench.material import COMMANDS, HARD, ORDINARY, WORDS, Clip, Collection, spread
from bench.scale import Scale
from bench.scene import CLEAN, Room, Scene, noisy, one_breath, play, word_alone
from bench.sound import Sound, chance, floor, rounded, seconds
from bench.table import Figure, Row, Table
from jarvis_ear.units import SAMPLE_RATE

BEFORE_S: Final = 1.5
"""The room before the word."""

IN_TIME_S: Final = 1.2
"""A detection that comes later than this after the wake word is no use to anybody."""

NOBODY_S: Final = 6.5
"""After a wake word alone: the wait for a command, and time for a false one to end."""

SURE: Final = 3.0
"""With no event in t hours, the rate is below 3/t with 95 % confidence."""


@dataclass(slots=True)
class Tally:
    """What became of the clips of one label in one room."""

    heard: int = 0
    always: int = 0
    gated: int = 0
    lost: int = 0
    """Found without the gate, and not with it."""
    won: int = 0
    """The other way round: the gate moves the steps, and a score near the threshold with them."""
    alone: int = 0
    """Wake words alone that woke the ear."""
    captures: int = 0
    """And were followed by an utterance that nobody spoke."""


def recall(scale: Scale, collection: Collection) -> list[Table]:
    """Count the wake words that are found, with the gate and without it."""
    listener, notes = Listener(), list[str]()
    rows: list[tuple[str, Tally]] = []
    for label in (*WORDS, *COMMANDS):
        clips = spread(collection.labelled(label), scale.clean_clips)
        if clips:
            rows.append((f"{label}, clean", _count(listener, clips, CLEAN, collection, notes)))
    everything = spread(collection.labelled(*WORDS, *COMMANDS), scale.noisy_clips)
    rows += [
        (f"all labels, {room}", _count(listener, everything, room, collection, notes))
        for room in noisy(scale.snrs_db)
    ]
    return [
        Table(
            "Recall of the wake word: gate `vad` against `always`",
            (
                "room",
                "clips",
                "always",
                "vad",
                "lost by the gate",
                "won",
                "woken alone",
                "false captures",
            ),
            [_row(name, tally) for name, tally in rows],
            "nothing lost by the gate, no capture where nobody spoke",
            [collection.describes, *notes],
        )
    ]


def accepts(scale: Scale, collection: Collection) -> list[Table]:
    """Count what wakes the ear and is not the wake word."""
    listener, notes = Listener(), list[str]()
    rows: list[Row] = []
    for kind, labels in (("ordinary", ORDINARY), ("made to be mistaken", HARD)):
        heard_s, total = 0.0, 0
        for label in labels:
            clips = _enough(collection.labelled(label), scale.negative_s)
            length_s = sum(len(clip.load()) for clip in clips) / SAMPLE_RATE
            found = _false_accepts(listener, clips, notes)
            rows.append((label, *_rate(found, length_s)))
            heard_s, total = heard_s + length_s, total + found
        rows.append((f"all of it: {kind}", *_rate(total, heard_s)))
    return [
        Table(
            "False accepts",
            ("material", "hours", "false accepts", "per hour", "95 % sure below"),
            rows,
            "",
            [collection.describes, *notes],
        )
    ]


def _count(
    listener: Listener, clips: list[Clip], room: Room, collection: Collection, notes: list[str]
) -> Tally:
    tally = Tally()
    for clip in clips:
        alone = clip.label in WORDS
        speech = word_alone(clip) if alone else one_breath(clip)
        scene = play(speech, room, collection, before_s=BEFORE_S, after_s=NOBODY_S)
        until = scene.speech_ends + seconds(IN_TIME_S)
        gated = listener.hear(scene.sound if alone else scene.sound[:until], GATED)
        always = listener.hear(scene.sound[:until], ALWAYS)
        _compare(tally, gated, always, until)
        if _woken(always, until) and not _woken(gated, until):
            scores = f"score {always.score:.2f} without it, {gated.score:.2f} with it"
            notes.append(f"lost by the gate, {room}, {scores}: {scene.name}")
        if alone and gated.turns:
            _add_capture(tally, scene, room, gated, notes)
    return tally


def _compare(tally: Tally, gated: Heard, always: Heard, until: int) -> None:
    with_gate, without = _woken(gated, until), _woken(always, until)
    tally.heard += 1
    tally.always += without
    tally.gated += with_gate
    tally.lost += without and not with_gate
    tally.won += with_gate and not without


def _add_capture(tally: Tally, scene: Scene, room: Room, heard: Heard, notes: list[str]) -> None:
    tally.alone += 1
    if heard.utterances:
        tally.captures += 1
        first = heard.utterances[0]
        since = (first.speech_start - scene.speech_ends) / SAMPLE_RATE
        notes.append(f"false capture, {room}, {since:+.2f} s after the word: {scene.name}")


def _woken(heard: Heard, until: int) -> bool:
    return any(turn.at <= until for turn in heard.turns)


def _row(name: str, tally: Tally) -> Row:
    return (
        name,
        str(tally.heard),
        _share(tally.always, tally.heard),
        _share(tally.gated, tally.heard),
        Figure(tally.lost, "d", at_most=0),
        str(tally.won),
        str(tally.alone),
        Figure(tally.captures, "d", at_most=0),
    )


def _share(count: int, of: int) -> Figure:
    return Figure(100 * count / of if of else float("nan"), ".1f", " %")


def _enough(clips: list[Clip], length_s: int) -> list[Clip]:
    """As many whole clips as last so long."""
    chosen: list[Clip] = []
    left = seconds(length_s)
    for clip in clips:
        if left <= 0:
            break
        chosen.append(clip)
        left -= len(clip.load())
    return chosen


def _false_accepts(listener: Listener, clips: list[Clip], notes: list[str]) -> int:
    count = 0
    for clip in clips:
        turns = listener.hear(_in_quiet(clip)).turns
        count += len(turns)
        notes += [
            f"false accept, score {turn.score:.2f}: {clip.name} ({clip.said})" for turn in turns
        ]
    return count


def _in_quiet(clip: Clip) -> Sound:
    random = chance(clip.name)
    quiet = rounded(floor(seconds(1), random))
    return np.concatenate((quiet, clip.load(), quiet))


def _rate(count: int, length_s: float) -> tuple[Figure, Figure, Figure, Figure]:
    hours = length_s / 3600
    none = float("nan")
    return (
        Figure(hours, ".2f"),
        Figure(count, "d"),
        Figure(count / hours if hours else none, ".1f"),
        Figure(SURE / hours if hours and not count else none, ".1f"),
    )
