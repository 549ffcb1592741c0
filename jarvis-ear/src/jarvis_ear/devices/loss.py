"""LossMeter: how many samples a microphone has lost, judged by the clock."""

from typing import Final

TOLERANCE_S: Final = 0.1
"""Drivers hand over sound in periods of up to about 50 ms: less than twice that is no loss."""

PATIENCE_S: Final = 1.0
"""Sound servers hand over late what they still have: missing for longer, it is lost."""

TRACKING: Final = 1 / 64
"""Converters are off by up to 0.1 per mille: the usual difference follows within seconds."""


class LossMeter:
    """Compares samples that came with seconds that went by. Owned by whoever reads the samples.

    A driver that loses sound usually raises its overflow flag, but says neither how much it lost
    nor, always, that it did. Samples come at a known rate, so what stays behind the clock is lost.
    """

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._began = now
        self._usual: float | None = None
        self._missing_since: float | None = None

    def lost(self, now: float, arrived: int, *, overflowed: bool) -> int:
        """Return the samples lost since the last call: none, as a rule.

        ``arrived`` counts all samples that were read, are waiting in the device, or were declared
        lost before. A flagged overflow lost at least one sample.
        """
        behind = (now - self._began) * self._rate - arrived
        if self._usual is None or behind < self._usual - TOLERANCE_S * self._rate:
            self._usual = behind  # it cannot be early: what we took for usual was late
        missing = behind - self._usual
        if overflowed:
            return self._declare(max(1, round(missing)))
        if missing < TOLERANCE_S * self._rate:
            self._usual += missing * TRACKING
            self._missing_since = None
            return 0
        if self._missing_since is None:
            self._missing_since = now
        if now - self._missing_since < PATIENCE_S:
            return 0
        return self._declare(round(missing))

    def _declare(self, count: int) -> int:
        self._missing_since = None
        return count
