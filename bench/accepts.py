"""False accepts: sounds other than the wake word that wake the ear."""

from typing import Final

import numpy as np

from bench.listener import LIGHT, Listener
from bench.material import HARD, ORDINARY, Clip, Collection
from bench.scale import Scale
from bench.sound import Sound, chance, floor, rounded, seconds
from bench.table import Figure, Row, Table
from jarvis_ear.units import SAMPLE_RATE

SURE: Final = 3.0
"""With no event in t hours, the rate is below 3/t with 95 % confidence."""


def accepts(scale: Scale, collection: Collection) -> list[Table]:
    """Count the detections in recordings without the wake word."""
    listener, notes = Listener(), list[str]()
    rows: list[Row] = []
    for kind, labels in (("ordinary", ORDINARY), ("made to be mistaken", HARD)):
        heard_s, total, all_light = 0.0, 0, 0
        for label in labels:
            clips = enough(collection.labelled(label), scale.negative_s)
            length_s = sum(len(clip.load()) for clip in clips) / SAMPLE_RATE
            found = _false_accepts(listener, clips, notes)
            light = sum(len(listener.hear(in_quiet(clip), LIGHT).turns) for clip in clips)
            rows.append((label, *_rate(found, length_s), Figure(light, "d")))
            heard_s, total, all_light = heard_s + length_s, total + found, all_light + light
        rows.append((f"all of it: {kind}", *_rate(total, heard_s), Figure(all_light, "d")))
    return [
        Table(
            "False accepts",
            (
                "material",
                "hours",
                "false accepts",
                "per hour",
                "95 % sure below",
                "with light effort",
            ),
            rows,
            "",
            [collection.describes, *notes],
        )
    ]


def enough(clips: list[Clip], length_s: int) -> list[Clip]:
    """Return whole clips that together last at least this long, if there are enough."""
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
        turns = listener.hear(in_quiet(clip)).turns
        count += len(turns)
        notes += [
            f"false accept, score {turn.score:.2f}: {clip.name} ({clip.said})" for turn in turns
        ]
    return count


def in_quiet(clip: Clip) -> Sound:
    """Return a recording with a second of a quiet room before and after it."""
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
