"""Analysis: what recordings of a room and its voices say about the options of hearing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, NamedTuple

from jarvis_ear import config
from jarvis_ear.calibration.words import noise_level, word_levels
from jarvis_ear.config_hearing import STRICTNESS
from jarvis_ear.options.edit import Value
from jarvis_ear.replay.recordings import LabelledSound
from jarvis_ear.replay.replayer import Replayer, ReplayTrace
from jarvis_ear.replay.sweep import Sweep, WakePoint, options_of_sweep, sweep
from jarvis_ear.turn_trace.near_miss_view import CLIPPED, QUIET_DBFS
from jarvis_ear.units import Dbfs, seconds

GAINS_DB: Final = (6.0, 12.0, 18.0)
"""Further gains of ``hearing.heard`` that are tried where words are missed or quiet."""

HEADROOM_DBFS: Final = -1.0
"""Level of the loudest sample that a gain must not exceed."""

LEAST_LONGER: Final = 3
"""Commands from which a longer hangover is recommended."""

LEAST_SHORTER: Final = 20
"""Commands from which a shorter one is: of 20 without a cut, at most 16 % would be cut (Wilson)."""

MANY_MISSED: Final = 0.5
"""Share of missed words from which no option helps."""

QUIET: Final = Dbfs(QUIET_DBFS + 10)
"""Level of a word below which a further gain is tried: 10 dB above where words are missed."""


class Recommendation(NamedTuple):
    """A recommended value of one option."""

    key: str
    old: Value
    new: Value
    why: str


@dataclass(slots=True)
class CalibrationResult:
    """The result of a calibration. Owned by its maker."""

    sweep: Sweep
    present: WakePoint
    best: WakePoint
    word_levels: list[float]
    """Level of each word's loudest syllable in dBFS, without a gain of the options."""
    noise_dbfs: float | None
    """Noise floor of the room; None: it was not heard."""
    clipped: float
    """Share of clipped samples in the words, 0 ... 1."""
    utterances: int
    changes: list[Recommendation] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    """What no option can do."""

    def as_json(self) -> dict[str, Any]:
        """Return the findings as JSON; the names are stable."""
        return {
            "words": self.sweep.words,
            "hours": round(self.sweep.hours, 4),
            "utterances": self.utterances,
            "word_level_dbfs": round(median(self.word_levels), 1) if self.word_levels else None,
            "noise_dbfs": None if self.noise_dbfs is None else round(self.noise_dbfs, 1),
            "clipped_percent": round(100 * self.clipped, 2),
            "present": self.present.as_json(),
            "best": self.best.as_json(),
            "advice": self.advice,
            "changes": [change._asdict() for change in self.changes],
        }


def analysed(
    replayer: Replayer,
    words: Sequence[LabelledSound],
    room: LabelledSound | None,
    hearing: config.HearingOptions,
    cost: float,
) -> CalibrationResult:
    """Return what the recordings say. ``words``: those with wake words. Raises InputError."""
    found = _heard(replayer, words, room, hearing)
    spoken = [trace for trace in found if trace.recording.words]
    levels, clipped, peak = word_levels(spoken)
    swept = _sweep(found, hearing, room)
    best, gain = swept.best_wake(cost, hearing.wake), 0.0
    tried = list(_gains(hearing, levels, peak, _missed(best)))
    for more in tried:
        louder = _with_gain(hearing, more)
        again = _sweep(_heard(replayer, words, room, louder), louder, room)
        point = again.best_wake(cost, hearing.wake)
        if point.cost(cost) < best.cost(cost) - 1e-9:
            swept, best, gain = again, point, more
    limit, patience = round(hearing.wake.least_score, 3), hearing.wake.patience
    present = _sweep(found, hearing, room).at(limit, patience)
    noise = None if room is None else noise_level(found[-1].frames)
    utterances = sum(len(trace.utterances) for trace in spoken)
    findings = CalibrationResult(swept, present, best, levels, noise, clipped, utterances)
    findings.changes += _changes(findings, gain, hearing, cost)
    findings.advice += _advice(levels, clipped, gain, tried)
    if best.missed.value >= MANY_MISSED:
        findings.advice.append(
            "half of the words or more are missed with every threshold: listen to what the"
            " microphone hears, and move it nearer or choose another one (jarvis-ear devices)"
        )
    return findings


def _heard(
    replayer: Replayer,
    words: Sequence[LabelledSound],
    room: LabelledSound | None,
    hearing: config.HearingOptions,
) -> list[ReplayTrace]:
    """Hear all recordings; the room comes last."""
    options = options_of_sweep(hearing)
    recordings = [*words, *([] if room is None else [room])]
    return [replayer.hear(recording, options) for recording in recordings]


def _sweep(
    traces: Sequence[ReplayTrace], hearing: config.HearingOptions, room: LabelledSound | None
) -> Sweep:
    length = traces[-1].samples if room is not None and traces else 0
    return sweep(traces, hearing, seconds(length) / 3600)


def _missed(point: WakePoint) -> bool:
    return point.missed.counted > 0


def _gains(
    hearing: config.HearingOptions, levels: Sequence[float], peak: float, is_missed: bool
) -> Iterator[float]:
    """Yield the further gains that are worth a try, in dB."""
    present = hearing.heard.gain_db
    if not levels or not (is_missed or median(levels) + present < QUIET):
        return
    for more in GAINS_DB:
        if peak + present + more <= HEADROOM_DBFS and present + more <= 30:  # noqa: PLR2004 - its range
            yield more


def _with_gain(hearing: config.HearingOptions, more: float) -> config.HearingOptions:
    heard = hearing.heard.model_copy(update={"gain_db": hearing.heard.gain_db + more})
    return hearing.model_copy(update={"heard": heard})


def _changes(
    findings: CalibrationResult, gain: float, hearing: config.HearingOptions, cost: float
) -> Iterator[Recommendation]:
    wake, best, utterances = hearing.wake, findings.best, findings.utterances
    if gain:
        key, old = "hearing.heard.gain_db", hearing.heard.gain_db
        yield Recommendation(key, old, old + gain, "fewer words are missed with it")
    if best.threshold != round(wake.least_score, 3):
        yield from _threshold(best, wake)
    if best.patience != wake.patience:
        yield Recommendation(
            "hearing.wake.patience", wake.patience, best.patience, "it costs least"
        )
    point = findings.sweep.best_hangover(cost)
    present = hearing.endpointing.hangover_ms
    if point is None or point.hangover_ms == present:
        return
    if utterances >= (LEAST_LONGER if point.hangover_ms > present else LEAST_SHORTER):
        why = f"the pauses in {utterances} commands"
        yield Recommendation("hearing.endpointing.hangover_ms", present, point.hangover_ms, why)


def _threshold(best: WakePoint, wake: config.WakeOptions) -> Iterator[Recommendation]:
    """Yield the strictness that has the threshold, or the threshold itself."""
    why = "it costs least"
    named = {limit: name for name, limit in STRICTNESS.items()}.get(best.threshold)
    if named is not None and not wake.threshold:
        yield Recommendation("hearing.wake.strictness", wake.strictness, named, why)
    else:
        yield Recommendation("hearing.wake.threshold", wake.threshold, best.threshold, why)


def _advice(
    levels: Sequence[float], clipped: float, gain: float, tried: Sequence[float]
) -> Iterator[str]:
    if clipped >= CLIPPED:
        yield (
            f"{100 * clipped:.1f} % of the words is clipped: lower the gain of the microphone by"
            " 6 dB (alsamixer), and calibrate again"
        )
    if levels and median(levels) < QUIET and not gain:
        help_ = "" if tried else "; a gain of the ear would clip near words"
        yield (
            f"the words are quiet, {median(levels):.0f} dBFS: raise the gain of the microphone"
            f" (alsamixer), or move it nearer{help_}"
        )
