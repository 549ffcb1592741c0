"""Sweep report: the tables of a sweep, for people and as JSON."""

from collections.abc import Iterator
from typing import Any, Final

from jarvis_ear import config
from jarvis_ear.replay.rates import hourly, percent
from jarvis_ear.replay.sweep import Sweep

SCHEMA: Final = 1
"""``format`` of the JSON output of `replay`; it changes if a name changes or goes."""


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
