"""Series: failures that belong together, until a link holds."""

from jarvis_ear.delivery.backoff import STABLE_S, Setback


class Series:
    """Counts failures for the back-off, and says what is worth a line in the log.

    Owned by the supervisor. A link that comes and goes every second is one series: each kind of
    failure is warned of once, and it is said once that it is over.
    """

    def __init__(self) -> None:
        self._kind: Setback | None = None
        self._in_a_row = 0
        self._warned: set[Setback] = set()
        self._answered: set[Setback] = set()

    def failed(self, setback: Setback) -> int:
        """Count a failure, and return how many of its kind there were in a row."""
        self._in_a_row = self._in_a_row + 1 if setback is self._kind else 1
        self._kind = setback
        return self._in_a_row

    def worth_a_warning(self, setback: Setback) -> bool:
        """Whether this failure is news: true once for each kind and series."""
        if setback in self._warned:
            return False
        self._warned.add(setback)
        return True

    def worth_an_all_clear(self) -> bool:
        """Whether a success is news: true once after each warning."""
        if self._answered == self._warned:
            return False
        self._answered = set(self._warned)
        return True

    def held(self, for_s: float) -> None:
        """End the series if the link that is now lost had held long enough."""
        if for_s < STABLE_S:
            return
        self._kind, self._in_a_row = None, 0
        self._warned.clear()
        self._answered.clear()
