"""Rates: shares and events per hour with the interval in which the truth lies with 95 %."""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

SURE: Final = 1.96
"""Standard deviations of a 95 % interval."""

TAIL: Final = 0.025
"""Probability beyond each end of the interval."""

HALVINGS: Final = 60
"""Steps of a bisection: to the last bit of a float."""


class Rate(NamedTuple):
    """A count in relation to something, with the limits of its 95 % interval."""

    counted: int
    value: float
    """A share of 0 ... 1, or events per hour; NaN of nothing."""
    low: float
    high: float
    """Infinite for events in no time."""

    def as_json(self) -> dict[str, Any]:
        """Return the rate as JSON; what is not a number is null."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        finite = {
            name: round(each, 4) if math.isfinite(each) else None for name, each in numbers.items()
        }
        return {"count": self.counted, **finite}


def share(count: int, of: int) -> Rate:
    """Return a share with its interval by Wilson; of nothing, all is possible."""
    if not of:
        return Rate(count, math.nan, 0.0, 1.0)
    part, square = count / of, SURE * SURE
    middle = (part + square / (2 * of)) / (1 + square / of)
    spread = math.sqrt(part * (1 - part) / of + square / (4 * of * of))
    half = spread * SURE / (1 + square / of)
    return Rate(count, part, max(0.0, middle - half), min(1.0, middle + half))


def per_hour(count: int, hours: float) -> Rate:
    """Return events per hour with the exact interval of Poisson's distribution (Garwood 1936)."""
    if hours <= 0:
        return Rate(count, math.nan, 0.0, math.inf)
    most = 2.0 * count + 10  # above the upper limit of any count
    low = 0.0 if not count else _root(lambda mean: TAIL - _more(count, mean), most)
    high = _root(lambda mean: 1 - _more(count + 1, mean) - TAIL, most)
    return Rate(count, count / hours, low / hours, high / hours)


def _more(count: int, mean: float) -> float:
    """Return the probability of ``count`` or more events where ``mean`` are expected."""
    if mean <= 0:
        return 0.0 if count else 1.0
    logarithms = (n * math.log(mean) - mean - math.lgamma(n + 1) for n in range(count))
    return max(0.0, 1 - math.fsum(map(math.exp, logarithms)))


def _root(function: Callable[[float], float], most: float) -> float:
    """Return where ``function``, which falls from 0 to ``most``, is zero."""
    low, high = 0.0, most
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def percent(rate: Rate) -> str:
    """Return a share in per cent with its interval."""
    if math.isnan(rate.value):
        return "unknown"
    return f"{100 * rate.value:.0f} % ({100 * rate.low:.0f}-{100 * rate.high:.0f})"


def hourly(rate: Rate) -> str:
    """Return events per hour with their interval."""
    if math.isnan(rate.value):
        return "unknown"
    return f"{rate.value:.2f} ({rate.low:.2f}-{rate.high:.2f})"
