"""Plot: one figure of what the ear made of a recording. Loads matplotlib."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from jarvis_ear import config
from jarvis_ear.errors import InputError, JarvisEarError
from jarvis_ear.hearing.events import State
from jarvis_ear.replay.recordings import named
from jarvis_ear.replay.replayer import ReplayTrace
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS: Final = 2000
"""Columns of the waveform: as many as the picture has."""

STATES: Final = {
    State.IDLE: ("#e8e8e8", "idle: waits for the wake word"),
    State.LISTENING: ("#9ecae1", "listening: waits for speech"),
    State.CAPTURING: ("#3182bd", "capturing: records the command"),
    State.THINKING: ("#fdae6b", "thinking: waits for the reply"),
    State.FOLLOW_UP: ("#a1d99b", "follow-up: needs no wake word"),
}
"""Colour and meaning of the states that a replay has."""

GATE: Final = "#d9f0d3"
SCORE: Final = "#1f4e79"
WAKE: Final = "#c0392b"
SHAPES: Final = {"wake": ("^", "wake word"), "near_miss": ("x", "near miss")}


def plot(trace: ReplayTrace, hearing: config.HearingOptions, path: Path) -> None:
    """Draw the figure as PNG, SVG or PDF, by the ending of ``path``. Raises JarvisEarError."""
    figure_class = _figure_class()
    figure = figure_class(figsize=(12, 9.5), dpi=130, layout="constrained")
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(2, 3, 0.7, 3))
    sound, score, states, speech = axes
    _draw_sound(sound, trace)
    _draw_score(score, trace, hearing.wake)
    _draw_states(states, trace)
    _draw_speech(speech, trace, hearing.endpointing)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0)
        for event in trace.events:
            if event.event == "wake":
                axis.axvline(seconds(event.at), color=WAKE, lw=1, ls=":")
    speech.set_xlim(0, seconds(trace.samples))
    speech.set_xlabel("position in the recording (s)")
    figure.suptitle(f"What the ear made of {Path(trace.recording.name).name}")
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError(f"{named(path)} cannot be written: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{named(path)}: expected a name ending in .png or .svg") from error


def _figure_class() -> "type[Figure]":
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise JarvisEarError(
            "a picture needs the package matplotlib: pip install jarvis-ear[plot]"
        ) from error
    return Figure


def _draw_sound(axis: "Axes", trace: ReplayTrace) -> None:
    lows, highs = _envelope(trace)
    times = np.linspace(0, seconds(trace.samples), len(lows))
    axis.fill_between(times, lows, highs, color="#555555", lw=0.5)
    for start, end in _runs([frame.gate for frame in trace.frames]):
        axis.axvspan(start, end, color=GATE, lw=0, zorder=0)
    axis.fill_between([], [], [], color=GATE, label="may be speech (speech gate)")
    for start, end in trace.recording.words or ():
        axis.hlines(1.0, seconds(start), seconds(end), color=WAKE, lw=4)
    axis.set_ylim(-1.05, 1.05)
    axis.set_ylabel("waveform\n(1 = full scale)")
    _legend(axis)


def _draw_score(axis: "Axes", trace: ReplayTrace, wake: config.WakeOptions) -> None:
    times = np.array([seconds(step.at) for step in trace.steps])
    scores = np.array([step.score for step in trace.steps])
    gaps = [place for place, step in enumerate(trace.steps) if step.is_first and place]
    times, scores = np.insert(times, gaps, np.nan), np.insert(scores, gaps, np.nan)
    axis.plot(times, scores, ".-", color=SCORE, lw=1.2, ms=4, label="score of each step of 80 ms")
    limit = wake.least_score
    label = f"threshold {limit:g}" + (f", {wake.patience} steps" if wake.patience > 1 else "")
    axis.axhline(limit, color=WAKE, lw=1, ls="--", label=label)
    for name, (shape, meaning) in SHAPES.items():
        found = [event for event in trace.events if event.event == name]
        at = [seconds(event.at) for event in found]
        height = [event.fields["score"] for event in found]
        if found:
            axis.plot(at, height, shape, color=WAKE, ms=9, mew=2, ls="none", label=meaning)
    axis.set_ylim(-0.03, 1.05)
    axis.set_ylabel("wake word score\n(0 ... 1)")
    _legend(axis)


def _draw_states(axis: "Axes", trace: ReplayTrace) -> None:
    for state, (colour, meaning) in STATES.items():
        runs = _runs([frame.state is state for frame in trace.frames])
        axis.broken_barh([(start, end - start) for start, end in runs], (0, 1), color=colour)
        if runs:
            axis.fill_between([], [], [], color=colour, label=meaning)
    axis.set_yticks([])
    axis.set_ylabel("state", rotation=0, ha="right", va="center")
    _legend(axis)


def _draw_speech(axis: "Axes", trace: ReplayTrace, options: config.EndpointingOptions) -> None:
    times = np.arange(1, len(trace.frames) + 1) * FRAME_SAMPLES / SAMPLE_RATE
    heard = [np.nan if each.probability is None else each.probability for each in trace.frames]
    axis.plot(times, heard, color="#31a354", lw=1.2, label="speech probability, while it listens")
    silent = [seconds(each.silent) if each.silent else np.nan for each in trace.frames]
    hangover_s = options.hangover_ms / 1000
    axis.plot(times, np.array(silent) / hangover_s, color="#e6850e", lw=1.8)
    axis.plot([], [], color="#e6850e", lw=1.8, label=f"silence / hangover of {hangover_s:g} s")
    axis.axhline(1.0, color="#e6850e", lw=1, ls="--", label="1 ends the command")
    gone_on = {each.fields["turn"] for each in trace.events if each.event == "superseded"}
    for event in trace.events:
        if event.event == "utterance" and event.fields["turn"] not in gone_on:
            start, end = (seconds(event.fields[name]) for name in ("speech_start", "speech_end"))
            axis.axvspan(start, end, color="#3182bd", alpha=0.15, lw=0)
            text = (
                f"command of {event.fields['speech_s']:.2f} s\nended by {event.fields['ended_by']}"
            )
            axis.text((start + end) / 2, 1.06, text, fontsize=9, ha="center", va="bottom")
    axis.set_ylim(-0.03, 1.32)
    axis.set_yticks([0, 0.5, 1])
    axis.set_ylabel("end of speech\n(0 ... 1)")
    _legend(axis)


def _legend(axis: "Axes") -> None:
    """Write the legend above the axes, where no curve is."""
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, fontsize=9, frameon=False)


def _runs(flags: list[bool]) -> list[tuple[float, float]]:
    """Return where a condition of frames holds, in seconds."""
    edges = np.flatnonzero(np.diff(np.array([False, *flags, False]).astype(int)))
    frame_s = FRAME_SAMPLES / SAMPLE_RATE
    return [(float(a) * frame_s, float(b) * frame_s) for a, b in edges.reshape(-1, 2)]


def _envelope(trace: ReplayTrace) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the lowest and highest sample of each column, 1 being full scale."""
    pcm = np.frombuffer(b"".join(block.data for block in trace.recording.blocks()), "<i2")
    edges = np.linspace(0, len(pcm), min(COLUMNS, len(pcm)), endpoint=False).astype(int)
    lows, highs = np.minimum.reduceat(pcm, edges), np.maximum.reduceat(pcm, edges)
    return lows / 32768, highs / 32768
