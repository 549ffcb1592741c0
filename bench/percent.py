"""Percentiles of durations."""

from collections.abc import Sequence

import numpy as np

from bench.table import Figure


def milliseconds(
    durations_s: Sequence[float], percent: float, at_most_ms: float | None = None
) -> Figure:
    """Return one percentile of ``durations_s`` in milliseconds; NaN if there are none."""
    if not durations_s:
        return Figure(float("nan"), ".2f", " ms")
    return Figure(1000 * float(np.percentile(durations_s, percent)), ".2f", " ms", at_most_ms)
