"""``jarvis-ear replay``: hear recordings again, and print what the ear makes of them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from jarvis_ear import config
from jarvis_ear.errors import InputError, file_errors
from jarvis_ear.options.verbs import UsageError, print_text, quoted
from jarvis_ear.replay import recordings
from jarvis_ear.replay.plot import plot
from jarvis_ear.replay.replayer import Replayer, ReplayEvent, ReplayTrace
from jarvis_ear.replay.sweep import (
    MISS_COST,
    SCHEMA,
    options_of_sweep,
    sweep,
    sweep_lines,
    sweep_listing,
)
from jarvis_ear.units import seconds
from jarvis_ear.wake_ledger.clips import NO_CLIPS, Clip, find_folder, opened

_KINDS: Final = {"wake": "woke", "near_miss": "near miss"}


def replay(given: Mapping[str, Any], files: Sequence[str], hearing: config.HearingOptions) -> int:
    """Carry out the verb and return the exit status. ``given``: its own options."""
    if bool(files) == ("events" in given):
        raise UsageError("replay: expected sound files, or --events for the clips of the ear")
    if "plot" in given and ("sweep" in given or len(files) != 1):
        raise UsageError("replay: --plot: expected one sound file, and no --sweep")
    if "truth" in given and "events" in given:
        raise UsageError("replay: --truth: expected sound files; clips have labels")
    cost = miss_cost(given)
    truth = recordings.read_truth(given["truth"]) if "truth" in given else None
    with ExitStack() as stack:
        if "events" in given:
            sounds = _clips(stack)
        else:
            sounds = [recordings.of_file(Path(name).expanduser(), truth) for name in files]
        replayer = Replayer(hearing)
        if "sweep" in given:
            return _sweep(replayer, sounds, hearing, cost, as_json="json" in given)
        traces = (replayer.hear(recording, hearing) for recording in sounds)
        if "json" in given:
            return print_text(json.dumps(listing(traces, hearing)) + "\n")
        for trace in traces:
            status = print_text("\n".join(_lines(trace, hearing)) + "\n")
            if "plot" in given:
                plot(trace, hearing, given["plot"])
            if status:
                return status
    return 0


def miss_cost(given: Mapping[str, Any]) -> float:
    """Return the cost of a miss that is given, or raise ``UsageError``."""
    text = given.get("miss_cost", str(MISS_COST))
    try:
        cost = float(text)
    except ValueError:
        cost = -1.0
    if not 0 <= cost <= 1e6:  # noqa: PLR2004 - a million false accepts for a miss
        raise UsageError(f"--miss-cost: {quoted(text)}: expected a number from 0 to 1000000")
    return cost


def listing(traces: Iterable[ReplayTrace], hearing: config.HearingOptions) -> dict[str, Any]:
    """Return what `replay --json` prints."""
    return {
        "format": SCHEMA,
        "threshold": hearing.wake.least_score,
        "patience": hearing.wake.patience,
        "hangover_ms": hearing.endpointing.hangover_ms,
        "recordings": [
            {
                "name": trace.recording.name,
                "seconds": round(seconds(trace.samples), 3),
                "best_score": trace.best_score,
                "live_score": None if trace.recording.clip is None else trace.recording.clip.score,
                "label": None if trace.recording.clip is None else trace.recording.clip.label,
                "events": [event.as_json() for event in trace.events],
                "steps": [[step.at, step.score] for step in trace.steps],
            }
            for trace in traces
        ],
    }


def _clips(stack: ExitStack) -> list[recordings.LabelledSound]:
    with file_errors("the folder of the clips"):
        path = find_folder()
        if path is None:
            raise InputError(NO_CLIPS)
        folder = stack.enter_context(opened(path))
    return [recordings.of_clip(folder, clip) for clip in folder.all()]


def _lines(trace: ReplayTrace, hearing: config.HearingOptions) -> Iterator[str]:
    name = recordings.named(Path(trace.recording.name))
    yield f"{name}: {seconds(trace.samples):.2f} s, best score {trace.best_score:.3f}" + _live(
        trace.recording.clip
    )
    for event in trace.events:
        place = f"{seconds(event.heard_at):>9.3f} s {event.heard_at:>9}"
        yield f"{place}  {event.event.replace('_', ' '):<10} {_text(event, hearing)}".rstrip()


def _live(clip: Clip | None) -> str:
    if clip is None:
        return ""
    label = "" if clip.label is None else f", label {str(clip.label).lower()}"
    kind = _KINDS.get(clip.kind, clip.kind)
    return f"; live: {kind}, score {clip.score:.3f}{label}"


def _text(  # noqa: PLR0911 - one for each event
    event: ReplayEvent, hearing: config.HearingOptions
) -> str:
    fields = event.fields
    match event.event:
        case "wake" | "near_miss":
            verifier = fields.get("verifier")
            late = event.heard_at - event.at
            known = [f"at {seconds(event.at):.3f} s"] if late else []
            known += [f"score {fields['score']:.3f}, threshold {hearing.wake.least_score:g}"]
            known += [] if verifier is None else [f"verifier {verifier:.2f}"]
            if "level_dbfs" in fields:
                level, noise = fields["level_dbfs"], fields["noise_floor_dbfs"]
                known.append(f"{level:.0f} dBFS over a noise of {noise:.0f}")
            return "; ".join(known)
        case "state":
            return f"{fields['from']} -> {fields['to']}: {fields['why']}"
        case "utterance":
            silence = fields["hangover_s"]
            after = "" if silence is None else f", {silence:.2f} s of silence"
            reason = fields["ended_by"].replace("_", " ")
            ends = [seconds(fields[name]) for name in ("speech_start", "speech_end")]
            speech = f"{fields['speech_s']:.2f} s of speech ({ends[0]:.2f} to {ends[1]:.2f} s)"
            return f"{speech}, ended by {reason}{after}"
        case "refused":
            below = fields["below_wake_word_db"]
            why = fields["why"].replace("_", " ")
            return f"{why}, {below:g} dB below the wake word"
        case "superseded":
            return f"turn {fields['turn']} continues as turn {fields['by']}"
        case "dropped" | "abandoned":
            return f"turn {fields['turn']}: {fields['why']}"
    return "speech without the wake word"


def _sweep(
    replayer: Replayer,
    sounds: Sequence[recordings.LabelledSound],
    hearing: config.HearingOptions,
    cost: float,
    *,
    as_json: bool,
) -> int:
    known = [recording for recording in sounds if recording.words is not None]
    unknown = len(sounds) - len(known)
    if not known:
        raise InputError(
            "it is not known which recordings hold the wake word: label the clips with "
            "jarvis-ear events label, or give --truth FILE"
        )
    clips = [recording.clip for recording in sounds if recording.clip is not None]
    options = options_of_sweep(hearing)
    traces = [replayer.hear(recording, options) for recording in known]
    found = sweep(traces, hearing, recordings.hours_of_clips(clips) if clips else None)
    if as_json:
        return print_text(json.dumps(sweep_listing(found, hearing, cost, unknown)) + "\n")
    return print_text("\n".join(sweep_lines(found, hearing, cost, unknown)) + "\n")
