"""A clock that goes when it is told to."""


class FakeClock:
    """Stands in for ``time.monotonic`` and ``time.sleep``. For one thread."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0, "time.sleep refuses negative numbers"
        self.sleeps.append(seconds)
        self.now += seconds
