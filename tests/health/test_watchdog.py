from fakes.clock import FakeClock
from jarvis_ear.health.liveness import Beat, Part, Watchdog


class Machine:
    """One part that moves when it is told to, and a watchdog that waits ten seconds."""

    def __init__(self, every_s: float = 10.0):
        self.clock = FakeClock()
        self.turns = 0
        self.beat = Beat([Part("ear", lambda: self.turns)], monotonic=self.clock.monotonic)
        self.watchdog = Watchdog(self.beat, every_s, monotonic=self.clock.monotonic)

    def fed_in(self, seconds: int, *, moving: bool = True, looking: bool = True) -> int:
        """How often it was fed in so many seconds, at ten looks a second."""
        fed = 0
        for _ in range(10 * seconds):
            self.clock.now += 0.1
            self.turns += moving
            if looking:
                self.beat.look()
            fed += self.watchdog.is_due()
        return fed


def test_it_is_fed_at_half_its_time():
    assert Machine().fed_in(60) == 12


def test_a_part_that_is_stuck_feeds_nothing_and_goes_on_where_it_was():
    machine = Machine()
    machine.fed_in(20)
    assert machine.fed_in(60, moving=False) == 0
    assert machine.fed_in(1) == 1


def test_nobody_who_does_not_look_feeds_it():
    machine = Machine()
    machine.fed_in(6)
    assert machine.fed_in(60, looking=False) <= 1  # for what was seen before


def test_where_there_is_no_watchdog_nothing_is_due():
    assert Machine(every_s=0).fed_in(60) == 0
