"""``jarvis-ear replay``: hear recordings again, and print what the ear makes of them."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from jarvis_ear import config, paths
from jarvis_ear.errors import InputError, NotPermitted
from jarvis_ear.options.verbs import UsageError, plain, print_text, quoted
from jarvis_ear.replay.plot import plot
from jarvis_ear.replay.rates import hourly, percent
from jarvis_ear.replay.recordings import (
    Recording,
    hours_of_clips,
    named,
    of_clip,
    of_file,
    read_truth,
)
from jarvis_ear.replay.replayer import Replayer, ReplayEvent, ReplayTrace
from jarvis_ear.replay.sweep import MISS_COST, Sweep, options_of_sweep, sweep
from jarvis_ear.units import seconds
from jarvis_ear.wake_ledger.clips import Clip, find_folder, opened

SCHEMA: Final = 1
"""``format`` of the JSON output; it changes if a name changes or goes."""

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
    truth = read_truth(given["truth"]) if "truth" in given else None
    with ExitStack() as stack:
        if "events" in given:
            recordings = _clips(stack)
        else:
            recordings = [of_file(Path(name).expanduser(), truth) for name in files]
        replayer = Replayer(hearing)
        if "sweep" in given:
            return _sweep(replayer, recordings, hearing, cost, as_json="json" in given)
        traces = (replayer.hear(recording, hearing) for recording in recordings)
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


def _clips(stack: ExitStack) -> list[Recording]:
    """Open the wake ledger, and return its clips."""
    try:
        path = find_folder(paths.state_folders(os.environ))
        if path is None:
            raise InputError("there are no clips: hearing.wake_ledger.enabled stores some")
        folder = stack.enter_context(opened(path))
    except PermissionError as error:
        place = plain(str(error.filename or "the folder of the clips"))
        raise NotPermitted(
            f"{place} belongs to another user: run this as that user, or as root"
        ) from None
    except OSError as error:
        raise InputError(f"the clips cannot be used: {error}") from error
    return [of_clip(folder, clip) for clip in folder.all()]


def _lines(trace: ReplayTrace, hearing: config.HearingOptions) -> Iterator[str]:
    name = named(Path(trace.recording.name))
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
            return f"turn {fields['turn']} goes on as turn {fields['by']}"
        case "dropped" | "abandoned":
            return f"turn {fields['turn']}: {fields['why']}"
    return "speech without the wake word"


def _sweep(
    replayer: Replayer,
    recordings: Sequence[Recording],
    hearing: config.HearingOptions,
    cost: float,
    *,
    as_json: bool,
) -> int:
    known = [recording for recording in recordings if recording.words is not None]
    unknown = len(recordings) - len(known)
    if not known:
        raise InputError(
            "nobody knows which recordings hold the wake word: label the clips with "
            "jarvis-ear events label, or give --truth FILE"
        )
    clips = [recording.clip for recording in recordings if recording.clip is not None]
    options = options_of_sweep(hearing)
    traces = [replayer.hear(recording, options) for recording in known]
    found = sweep(traces, hearing, hours_of_clips(clips) if clips else None)
    if as_json:
        return print_text(json.dumps(sweep_listing(found, hearing, cost, unknown)) + "\n")
    return print_text("\n".join(sweep_lines(found, hearing, cost, unknown)) + "\n")


def sweep_listing(
    found: Sweep, hearing: config.HearingOptions, cost: float, unknown: int
) -> dict[str, Any]:
    """Return what `replay --sweep --json` prints."""
    best, hangover = found.best_wake(cost, hearing.wake), found.best_hangover(cost)
    present = found.at(round(hearing.wake.least_score, 3), hearing.wake.patience)
    return {
        "format": SCHEMA,
        "words": found.words,
        "hours": round(found.hours, 4),
        "recordings_unknown": unknown,
        "miss_cost": cost,
        "wake": [point.as_json() for point in found.wakes],
        "hangover": [point.as_json() for point in found.hangovers],
        "present": {**present.as_json(), "hangover_ms": hearing.endpointing.hangover_ms},
        "best": {**best.as_json(), "hangover_ms": hangover and hangover.hangover_ms},
    }


def sweep_lines(
    found: Sweep, hearing: config.HearingOptions, cost: float, unknown: int
) -> Iterator[str]:
    """Return the tables of a sweep, and the best choice, for people."""
    best, hangover = found.best_wake(cost, hearing.wake), found.best_hangover(cost)
    limit, patience = round(hearing.wake.least_score, 3), hearing.wake.patience
    yield f"{found.words} wake words, {found.hours:.2f} hours; in brackets: 95 % interval"
    if unknown:
        yield f"left out, because nobody knows what they hold: {unknown} recordings"
    yield ""
    yield "threshold  patience        words missed   false accepts per hour    cost"
    for point in found.wakes:
        mark = "present" if (point.threshold, point.patience) == (limit, patience) else ""
        mark = "best" + (", present" if mark else "") if point is best else mark
        missed, accepts = percent(point.missed), hourly(point.accepts)
        row = f"{point.threshold:>9g} {point.patience:>9} {missed:>19} {accepts:>24}"
        yield f"{row} {point.cost(cost):>7.2f}  {mark}".rstrip()
    yield ""
    yield "hangover   commands cut in a pause    cost"
    for each in found.hangovers:
        mark = "present" if each.hangover_ms == hearing.endpointing.hangover_ms else ""
        mark = "best" + (", present" if mark else "") if each is hangover else mark
        row = f"{each.hangover_ms:>5} ms {percent(each.cut):>26}"
        yield f"{row} {each.cost(cost):>7.2f}  {mark}".rstrip()
    yield ""
    yield f"A missed word costs as much as {cost:g} false accepts (--miss-cost), with one word an"
    yield "hour; a cut command costs as much as a missed word, and a second of waiting a tenth."
    chosen = [f"hearing.wake.threshold = {best.threshold:g}"]
    chosen.append(f"hearing.wake.patience = {best.patience}")
    if hangover is not None:
        chosen.append(f"hearing.endpointing.hangover_ms = {hangover.hangover_ms}")
    yield "Best: " + ", ".join(chosen)
