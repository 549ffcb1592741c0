"""Series: failures that belong together, until a link holds."""

from jarvis_ear.delivery.backoff import STABLE_S, Setback


class Series:
    """Counts attempts for the back-off, and says what is worth a line in the log.

    Owned by the supervisor. A link that comes and goes every second is one series: it is warned of
    once, and its first recovery is told once.
    """

    def __init__(self) -> None:
        self._kind: Setback | None = None
        self._in_a_row = 0
        self._recoveries = 0
        self._warned: set[Setback] = set()

    def failed(self, setback: Setback) -> int:
        """Count a failure, and return how many of its kind there were in a row."""
        self._in_a_row = self._in_a_row + 1 if setback is self._kind else 1
        self._kind = setback
        return self._in_a_row

    def first_of_kind(self, setback: Setback) -> bool:
        """Whether this failure is worth a warning: true once for each kind and series."""
        known = setback in self._warned
        self._warned.add(setback)
        return not known

    def first_recovery(self) -> bool:
        """Whether this success is worth a line: true once in a series."""
        self._recoveries += 1
        return self._recoveries == 1

    def held(self, for_s: float) -> None:
        """End the series if the link that is now lost had held long enough."""
        if for_s >= STABLE_S:
            self._kind, self._in_a_row, self._recoveries = None, 0, 0
            self._warned.clear()
