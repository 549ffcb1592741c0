"""Recall with and without the gate, and captures without speech."""

from dataclasses import dataclass, field
from typing import Final

from bench.listener import ALWAYS, GATED, LIGHT, Heard, Listener
from bench.material import COMMANDS, WORDS, Clip, Collection, spread
from bench.percent import share
from bench.scale import Scale
from bench.scene import CLEAN, Room, Scene, one_breath, play, rooms, word_alone
from bench.sound import Sound, seconds
from bench.table import Figure, Row, Table
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, STEP_FRAMES

BEFORE_S: Final = 1.5
"""Seconds of room noise before the wake word."""

IN_TIME_S: Final = 1.2
"""Seconds after the wake word; a later detection does not count."""

NOBODY_S: Final = 6.5
"""Seconds after a wake word alone: the wait for a command, and the end of a false one."""

GRIDS: Final = range(1, STEP_FRAMES)
"""Frames by which the first step can be shifted."""


@dataclass(slots=True)
class Tally:
    """Results of the clips of one label in one room."""

    heard: int = 0
    always: int = 0
    gated: int = 0
    light: int = 0
    """Found by the gate and `hearing.wake.effort` = `light`."""
    lost: int = 0
    """Found only without the gate."""
    moved: int = 0
    """Found in only one of the two, because the steps began at another frame."""
    alone: int = 0
    """Wake words alone that woke the ear."""
    captures: int = 0
    """Of these: followed by an utterance without speech."""
    notes: list[str] = field(default_factory=list)
    """The clips that are counted as faults."""


def recall(scale: Scale, collection: Collection) -> list[Table]:
    """Count the wake words found with the gate and without it."""
    listener = Listener()
    found: dict[str, Tally] = {}
    for label in (*WORDS, *COMMANDS):
        clips = spread(collection.labelled(label), scale.clean_clips)
        if clips:
            found[f"{label}, clean"] = _count(listener, clips, CLEAN, collection)
    everything = spread(collection.labelled(*WORDS, *COMMANDS), scale.noisy_clips)
    for room in rooms(scale.snrs_db, scale.altered)[1:]:
        found[f"all labels, {room}"] = _count(listener, everything, room, collection)
    return [
        Table(
            "Recall of the wake word: gate `vad` against `always`, and the light effort",
            (
                "room",
                "clips",
                "always",
                "vad",
                "vad, light",
                "lost by the gate",
                "by the grid",
                "woken alone",
                "false captures",
            ),
            [_row(name, tally) for name, tally in found.items()],
            "nothing lost by the gate, no capture without speech",
            [
                "by the grid: found by one of the two only; without the gate the result depends",
                "on the frame at which the first step of 80 ms begins",
                collection.describes,
                *(note for tally in found.values() for note in tally.notes),
            ],
        )
    ]


def _count(listener: Listener, clips: list[Clip], room: Room, collection: Collection) -> Tally:
    tally = Tally()
    for clip in clips:
        alone = clip.label in WORDS
        speech = word_alone(clip) if alone else one_breath(clip)
        scene = play(speech, room, collection, before_s=BEFORE_S, after_s=NOBODY_S)
        until = scene.speech_ends + seconds(IN_TIME_S)
        gated = listener.hear(scene.sound if alone else scene.sound[:until], GATED)
        always = listener.hear(scene.sound[:until], ALWAYS)
        tally.heard += 1
        tally.always += _woken(always, until)
        tally.gated += _woken(gated, until)
        tally.light += _woken(listener.hear(scene.sound[:until], LIGHT), until)
        if _woken(gated, until) != _woken(always, until):
            _explain(listener, scene.sound[:until], always, f"{room}: {scene.name}", tally)
        if alone and gated.turns:
            _add_capture(scene, room, gated, tally)
    return tally


def _explain(listener: Listener, sound: Sound, always: Heard, name: str, tally: Tally) -> None:
    """Determine whether the gate or the beginning of the steps made the difference."""
    others = [listener.hear(sound[shift * FRAME_SAMPLES :], ALWAYS) for shift in GRIDS]
    heard = [always, *others]
    scores = " ".join(f"{each.score:.2f}" for each in heard)
    if len({bool(each.turns) for each in heard}) > 1:
        tally.moved += 1
        tally.notes.append(f"grid, scores {scores}, {name}")
    elif always.turns:
        tally.lost += 1
        tally.notes.append(f"lost by the gate, scores without it {scores}, {name}")


def _add_capture(scene: Scene, room: Room, heard: Heard, tally: Tally) -> None:
    tally.alone += 1
    if heard.utterances:
        tally.captures += 1
        first = heard.utterances[0]
        since = (first.speech_start - scene.speech_ends) / SAMPLE_RATE
        tally.notes.append(f"false capture, {room}, {since:+.2f} s after the word: {scene.name}")


def _woken(heard: Heard, until: int) -> bool:
    return any(turn.at <= until for turn in heard.turns)


def _row(name: str, tally: Tally) -> Row:
    return (
        name,
        str(tally.heard),
        share(tally.always, tally.heard, form=".1f"),
        share(tally.gated, tally.heard, form=".1f"),
        share(tally.light, tally.heard, form=".1f"),
        Figure(tally.lost, "d", at_most=0),
        str(tally.moved),
        str(tally.alone),
        Figure(tally.captures, "d", at_most=0),
    )
