"""Sweep: what other thresholds, patiences and hangovers would have done in the same recordings.

The ear hears each recording once. Its scores do not depend on the threshold, and its hangover ends
an utterance at the first pause that is longer, so everything else is arithmetic.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, NamedTuple

from jarvis_ear import config
from jarvis_ear.config_hearing import STRICTNESS
from jarvis_ear.hearing.wake import WakeDecider
from jarvis_ear.replay.rates import Rate, hourly, per_hour, percent, share
from jarvis_ear.replay.replayer import ReplayStep, ReplayTrace
from jarvis_ear.units import Samples, samples, seconds

SCHEMA: Final = 1
"""``format`` of the JSON output of `replay`; it changes if a name changes or goes."""

THRESHOLDS: Final = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Values of ``hearing.wake.threshold``."""

PATIENCES: Final = (1, 2, 3)
"""Values of ``hearing.wake.patience``."""

HANGOVERS_MS: Final = (400, 500, 600, 700, 800, 1000, 1200, 1500)
"""Values of ``hearing.endpointing.hangover_ms``."""

IN_TIME: Final = samples(1200)
"""Time after the wake word in which its detection counts, as in the benchmarks."""

MISS_COST: Final = 5.0
"""Default number of false accepts that are as bad as a missed wake word."""

WORDS_PER_HOUR: Final = 1.0
"""Wake words that people are assumed to say in an hour: it makes a missed share a rate."""

SECOND_COST: Final = 0.1
"""Part of the cost of a missed word that a second of waiting for the end of speech has."""


class WakePoint(NamedTuple):
    """One threshold with one patience."""

    threshold: float
    patience: int
    missed: Rate
    """Share of the wake words."""
    accepts: Rate
    """False accepts per hour."""

    def cost(self, miss_cost: float) -> float:
        """Return the cost per hour, in false accepts; what is not known costs nothing."""
        return _known(self.accepts) + miss_cost * WORDS_PER_HOUR * _known(self.missed)

    def as_json(self) -> dict[str, Any]:
        """Return the point as JSON."""
        point = {"threshold": self.threshold, "patience": self.patience}
        return point | {"missed": self.missed.as_json(), "accepts_per_hour": self.accepts.as_json()}


class HangoverPoint(NamedTuple):
    """One hangover."""

    hangover_ms: int
    cut: Rate
    """Share of the utterances that it would have ended in a pause."""

    def cost(self, miss_cost: float) -> float:
        """Return the cost per hour: of commands that are cut, and of the wait for the end."""
        waits = SECOND_COST * self.hangover_ms / 1000
        return miss_cost * WORDS_PER_HOUR * (_known(self.cut) + waits)

    def as_json(self) -> dict[str, Any]:
        """Return the point as JSON."""
        return {"hangover_ms": self.hangover_ms, "cut": self.cut.as_json()}


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of a sweep. Immutable."""

    words: int
    """Wake words in the recordings."""
    hours: float
    wakes: tuple[WakePoint, ...]
    hangovers: tuple[HangoverPoint, ...]

    def best_wake(self, miss_cost: float, present: config.WakeOptions) -> WakePoint:
        """Return the cheapest point.

        Of several, it is the present one, or the one closest to what is measured best on much more
        sound, the threshold of `balanced`.
        """

        def rank(point: WakePoint) -> tuple[float, int, bool, float]:
            is_other = point.threshold != round(present.least_score, 3)
            far, usual = abs(point.patience - present.patience), STRICTNESS["balanced"]
            return round(point.cost(miss_cost), 9), far, is_other, abs(point.threshold - usual)

        return min(self.wakes, key=rank)

    def best_hangover(self, miss_cost: float) -> HangoverPoint | None:
        """Return the cheapest hangover; None: there is no utterance."""
        known = [point for point in self.hangovers if not math.isnan(point.cut.value)]
        return min(known, key=lambda point: point.cost(miss_cost), default=None)

    def at(self, threshold: float, patience: int) -> WakePoint:
        """Return the point of these values."""
        return next(p for p in self.wakes if (p.threshold, p.patience) == (threshold, patience))


def options_of_sweep(hearing: config.HearingOptions) -> config.HearingOptions:
    """Return the options for hearing the recordings: most words open an utterance, few end it."""
    as_all = {"threshold": 0.0, "patience": 0}
    words = tuple(word.model_copy(update=as_all) for word in hearing.wake.words)
    choice = {"threshold": min(THRESHOLDS), "patience": 1, "words": words}
    wake = hearing.wake.model_copy(update=choice)
    endpointing = hearing.endpointing.model_copy(
        update={"hangover_ms": max(*HANGOVERS_MS, hearing.endpointing.hangover_ms), "go_on_ms": 0}
    )
    return hearing.model_copy(update={"wake": wake, "endpointing": endpointing})


def sweep(
    traces: Sequence[ReplayTrace], hearing: config.HearingOptions, hours: float | None = None
) -> Sweep:
    """Return what other options would have done in recordings whose wake words are known.

    ``hours``: the time that they stand for; by default their length.
    """
    known = [trace for trace in traces if trace.recording.words is not None]
    if hours is None:
        hours = sum(seconds(trace.samples) for trace in known) / 3600
    words = sum(len(trace.recording.words or ()) for trace in known)
    thresholds = sorted({*THRESHOLDS, round(hearing.wake.least_score, 3)})
    patiences = sorted({*PATIENCES, hearing.wake.patience})
    wakes = []
    for patience, threshold in product(patiences, thresholds):
        choice = {"threshold": threshold, "patience": patience}
        wake = hearing.wake.model_copy(update=choice)
        counts = [_count(trace, wake) for trace in known]
        missed = share(sum(lost for lost, _ in counts), words)
        accepts = per_hour(sum(false for _, false in counts), hours)
        wakes.append(WakePoint(threshold, patience, missed, accepts))
    hangovers = sorted({*HANGOVERS_MS, hearing.endpointing.hangover_ms})
    return Sweep(words, hours, tuple(wakes), tuple(_hangovers(known, hangovers)))


def detections(steps: Iterable[ReplayStep], wake: config.WakeOptions) -> list[Samples]:
    """Return where scores would have been the wake word."""
    choice = {"threshold": wake.least_score, "patience": wake.patience}
    word = config.HEY_JARVIS.model_copy(update=choice)
    decider, found = WakeDecider(word, wake.refractory_ms), []
    for step in steps:
        if step.is_first:
            decider.restart()
        if decider.decide(step.score, step.at):
            found.append(step.at)
    return found


def _count(trace: ReplayTrace, wake: config.WakeOptions) -> tuple[int, int]:
    """Return how many words of a recording are missed, and how many detections are false."""
    found = detections(trace.steps, wake)
    words = trace.recording.words or ()
    missed = sum(not any(start < at <= end + IN_TIME for at in found) for start, end in words)
    return missed, sum(not any(a < at <= b + IN_TIME for a, b in words) for at in found)


def _hangovers(known: Sequence[ReplayTrace], values_ms: Iterable[int]) -> Iterable[HangoverPoint]:
    """Count the utterances of the recordings with a wake word that pauses would have ended."""
    utterances = [each for trace in known if trace.recording.words for each in trace.utterances]
    for value_ms in values_ms:
        cut = sum(any(pause >= samples(value_ms) for pause in each.inner) for each in utterances)
        yield HangoverPoint(value_ms, share(cut, len(utterances)))


def _known(rate: Rate) -> float:
    return 0.0 if math.isnan(rate.value) else rate.value


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
        yield f"left out, because it is not known what they hold: {unknown} recordings"
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
