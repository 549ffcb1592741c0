"""Percentiles of durations, and shares with their intervals."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from bench.table import Figure

SURE: Final = 1.96
"""Standard deviations of a 95 % interval."""


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
    if not of:
        return 0.0, 100.0
    share_, square = count / of, SURE * SURE
    middle = (share_ + square / (2 * of)) / (1 + square / of)
    spread = math.sqrt(share_ * (1 - share_) / of + square / (4 * of * of))
    half = spread * SURE / (1 + square / of)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)
