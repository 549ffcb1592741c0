"""Trade-off: wake words missed and false accepts per hour, at several thresholds."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from bench.accepts import enough, in_quiet
from bench.listener import Listener
from bench.material import COMMANDS, HARD, ORDINARY, WORDS, Clip, Collection, spread
from bench.percent import share
from bench.pictures import DetPicture, OperatingPoint
from bench.recall import BEFORE_S, IN_TIME_S
from bench.scale import Scale
from bench.scene import Room, one_breath, play, rooms
from bench.sound import Sound, seconds
from bench.table import Figure, Row, Table
from jarvis_ear import config
from jarvis_ear.units import SAMPLE_RATE

THRESHOLDS: Final = (0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""Values of ``hearing.wake.threshold``."""

LEAST_EVENTS: Final = 0.5
"""Where no false accept is drawn: the axis is logarithmic."""


def det(scale: Scale, collection: Collection) -> list[Table]:
    """Count missed words in each room, and false accepts, with the whole ear at each threshold."""
    listener = Listener()
    clips = spread(collection.labelled(*WORDS, *COMMANDS), scale.noisy_clips)
    others = [
        in_quiet(clip)
        for label in (*ORDINARY, *HARD)
        for clip in enough(collection.labelled(label), scale.negative_s)
    ]
    hours = sum(map(len, others)) / SAMPLE_RATE / 3600
    accepts = _accepts(listener, others)
    rows: list[Row] = [("false accepts, each hour", *(Figure(n / hours, ".1f") for n in accepts))]
    curves: dict[str, list[OperatingPoint]] = {}
    for room in rooms(scale.snrs_db, scale.altered):
        missed = _missed(listener, clips, room, collection)
        rows.append((str(room), *(share(count, len(clips)) for count in missed)))
        curves[str(room)] = [
            OperatingPoint(
                threshold, max(count, LEAST_EVENTS) / hours, 100 * lost / max(1, len(clips))
            )
            for threshold, count, lost in zip(THRESHOLDS, accepts, missed, strict=True)
        ]
    return [
        Table(
            "Wake words missed at each threshold",
            ("room", *map(str, THRESHOLDS)),
            rows,
            "",
            [
                f"false accepts in {hours:.2f} h, recordings made to be mistaken included",
                collection.describes,
            ],
            DetPicture("det.png", "Wake words missed against false accepts", curves),
        )
    ]


def _options(threshold: float) -> config.HearingOptions:
    return config.HearingOptions(wake=config.WakeOptions(threshold=threshold))


def _accepts(listener: Listener, others: Sequence[Sound]) -> list[int]:
    """Count the false accepts at each threshold: none at one means none at higher ones."""
    accepts = np.zeros(len(THRESHOLDS), int)
    for sound in others:
        for place, threshold in enumerate(THRESHOLDS):
            turns = len(listener.hear(sound, _options(threshold)).turns)
            accepts[place] += turns
            if not turns:
                break
    return accepts.tolist()


def _missed(
    listener: Listener, clips: Sequence[Clip], room: Room, collection: Collection
) -> list[int]:
    """Count the words missed at each threshold: one found at a threshold is found at lower ones."""
    missed = np.zeros(len(THRESHOLDS), int)
    for clip in clips:
        scene = play(one_breath(clip), room, collection, before_s=BEFORE_S, after_s=IN_TIME_S)
        sound = scene.sound[: scene.speech_ends + seconds(IN_TIME_S)]
        for place in reversed(range(len(THRESHOLDS))):
            if listener.hear(sound, _options(THRESHOLDS[place])).turns:
                break
            missed[place] += 1
    return missed.tolist()
