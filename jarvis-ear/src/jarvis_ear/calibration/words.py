"""Words: where the wake words are in a recording, and how loud they and the room are. Pure."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from jarvis_ear.audio.level import CLIPPED as FULL
from jarvis_ear.replay.recordings import Span
from jarvis_ear.replay.replayer import ReplayFrame, ReplayTrace
from jarvis_ear.units import FRAME_SAMPLES, Samples

SYLLABLE: Final = 5
"""Frames over which the level of a word is measured: 100 ms."""

GAP: Final = 75
"""Frames without speech, 1.5 s, between two wake words in a file; a command follows one earlier."""

SHORTEST: Final = 13
"""Frames of the shortest wake word, 0.26 s; a click is shorter."""

BELOW_LOUDEST_DB: Final = 30.0
"""Sound further below the loudest frame of a file is not a word."""

ABOVE_ROOM_DB: Final = 10.0
"""Nor is sound closer to the noise of the room."""


def word_spans(frames: Sequence[ReplayFrame]) -> tuple[Span, ...]:
    """Return the stretches of speech in a file that holds nothing but wake words.

    Levels alone find them: the speech gate misses those of a quiet microphone.
    """
    levels = [frame.level for frame in frames]
    floor = (noise_level(frames) or 0.0) + ABOVE_ROOM_DB
    least = max([floor, *(level - BELOW_LOUDEST_DB for level in levels)])
    spoken = [place for place, level in enumerate(levels) if level > least]
    spans: list[tuple[int, int]] = []
    for place in spoken:
        if spans and place - spans[-1][1] <= GAP:
            spans[-1] = (spans[-1][0], place)
        else:
            spans.append((place, place))
    return tuple(
        Span(Samples(first * FRAME_SAMPLES), Samples((last + 1) * FRAME_SAMPLES))
        for first, last in spans
        if last - first + 1 >= SHORTEST
    )


def word_levels(traces: Sequence[ReplayTrace]) -> tuple[list[float], float, float]:
    """Return the level of each word, the clipped share of all, and the peak in dBFS."""
    levels: list[float] = []
    clipped = total = peak = 0
    for trace in traces:
        data = b"".join(block.data for block in trace.recording.blocks())
        sound = np.abs(np.frombuffer(data, "<i2").astype(np.int32))
        for start, end in trace.recording.words or ():
            part = sound[start:end]
            frames = trace.frames[start // FRAME_SAMPLES : end // FRAME_SAMPLES]
            if not len(part) or len(frames) < SYLLABLE:
                continue
            energies = np.array([10 ** (frame.level / 10) for frame in frames])
            syllables = np.convolve(energies, np.ones(SYLLABLE) / SYLLABLE, "valid")
            levels.append(10 * math.log10(max(1e-12, float(syllables.max()))))
            clipped += int(np.count_nonzero(part >= FULL))
            total += len(part)
            peak = max(peak, int(part.max()))
    return levels, clipped / max(1, total), 20 * math.log10(max(1, peak) / 32768)


def noise_level(frames: Sequence[ReplayFrame]) -> float | None:
    """Return the level that a tenth of the frames is below: the room between what happens."""
    return float(np.percentile([frame.level for frame in frames], 10)) if frames else None
