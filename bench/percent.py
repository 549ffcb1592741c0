"""Percentiles of durations, and shares with their intervals."""

from collections.abc import Sequence

import numpy as np

from bench.table import Figure
from jarvis_ear.replay import rates


def milliseconds(
    durations_s: Sequence[float], percent: float, at_most_ms: float | None = None
) -> Figure:
    """Return one percentile of ``durations_s`` in milliseconds; NaN if there are none."""
    if not durations_s:
        return Figure(float("nan"), ".2f", " ms")
    return Figure(1000 * float(np.percentile(durations_s, percent)), ".2f", " ms", at_most_ms)


def share(count: int, of: int, at_most: float | None = None, form: str = ".0f") -> Figure:
    """Return a share in per cent with its 95 % interval; NaN of nothing.

    ``at_most``: its target in per cent.
    """
    if not of:
        return Figure(float("nan"), form, " %", at_most)
    return Figure(100 * count / of, form, " %", at_most, interval(count, of))


def interval(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval (Wilson) of a share, in per cent; of nothing, all is possible."""
    found = rates.share(count, of)
    return 100 * found.low, 100 * found.high
