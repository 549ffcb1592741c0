from jarvis_ear.devices.sound_faults import LossMeter

RATE = 16_000
PIECE = 640
STEP_S = PIECE / RATE


class Card:
    """A converter that the test lets run, late, fast, or with losses."""

    def __init__(self, skew: float = 0.0, jitter=()):
        self.now, self.arrived, self.skew = 5.0, PIECE, skew
        self.jitter = list(jitter) or [0.0]
        self.meter = LossMeter(RATE, self.now)
        self.turn = 0

    def step(self, *, arrives: float = PIECE, overflowed: bool = False) -> int:
        self.now += STEP_S
        self.arrived += arrives * (1 + self.skew)
        self.turn += 1
        late = self.jitter[self.turn % len(self.jitter)]
        lost = self.meter.lost(self.now + late, round(self.arrived), overflowed=overflowed)
        self.arrived += lost
        return lost

    def run(self, seconds: float) -> int:
        return sum(self.step() for _ in range(round(seconds / STEP_S)))


def test_a_perfect_card_loses_nothing():
    assert Card().run(60) == 0


def test_an_hour_with_a_skewed_crystal_loses_nothing():
    assert Card(skew=1e-4).run(3600) == 0
    assert Card(skew=-1e-4).run(3600) == 0


def test_a_card_that_speaks_in_periods_loses_nothing():
    assert Card(jitter=[0.0, 0.045, 0.02, 0.01, 0.045]).run(60) == 0


def test_an_overflow_is_measured_by_the_clock():
    card = Card()
    card.run(2)
    card.now += 1.25  # nobody read for so long, and the buffer kept nothing of it
    assert card.step(overflowed=True) == 20_000
    assert card.run(60) == 0


def test_an_overflow_is_a_gap_even_if_the_clock_sees_none():
    card = Card()
    card.run(2)
    assert card.step(overflowed=True) == 1


def test_an_overflow_at_the_very_first_read_is_a_gap():
    assert LossMeter(RATE, 1.0).lost(1.0, PIECE, overflowed=True) == 1


def test_a_loss_that_nobody_flagged_is_found_within_seconds():
    card = Card()
    card.run(2)
    card.now += 0.5
    lost = card.run(1.5)
    assert abs(lost - 8000) <= PIECE
    assert card.run(60) == 0


def test_sound_that_comes_late_but_comes_is_not_lost():
    card = Card()
    card.run(2)
    for _ in range(20):
        assert card.step(arrives=0) == 0
    assert card.step(arrives=21 * PIECE) == 0
    assert card.run(60) == 0


def test_a_slow_start_is_forgiven():
    card = Card()
    for _ in range(20):
        card.step(arrives=0)
    card.step(arrives=21 * PIECE)
    card.run(2)
    card.now += 0.5
    assert abs(card.step(overflowed=True) - 8000) <= PIECE
