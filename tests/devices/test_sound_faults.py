import numpy as np
import pytest

from jarvis_ear.devices.sound_faults import ClippingMeter, DigitalSilence, LossMeter

RATE = 16_000


def clipped_second(clipped: int, value: int = 32_767) -> np.ndarray:
    return np.concatenate([np.full(clipped, value), np.full(RATE - clipped, 1000)]).astype(np.int16)


def clipping(*seconds: np.ndarray) -> ClippingMeter:
    meter = ClippingMeter()
    for one in seconds:
        meter.hear(one, RATE)
    return meter


@pytest.mark.parametrize(
    ("value", "share"), [(32_767, 0.5), (-32_768, 0.5), (-32_767, 0.5), (32_766, 0), (-32_766, 0)]
)
def test_a_sample_at_an_end_of_the_scale_is_clipped(value, share):
    assert clipping(clipped_second(RATE // 2, value)).share == share


@pytest.mark.parametrize(("more_s", "share"), [(0, 0.5), (15, 0.25), (30, 0)])
def test_the_share_is_that_of_the_last_minute(more_s, share):
    seconds = [clipped_second(RATE)] * 30 + [clipped_second(0)] * (30 + more_s)
    assert clipping(*seconds).share == share


def test_pieces_of_any_length_make_a_second():
    meter = ClippingMeter()
    assert not meter.is_too_much
    for piece in np.array_split(clipped_second(160), 25):
        assert meter.share == 0
        meter.hear(piece, RATE)
    assert meter.share == 0.01


@pytest.mark.parametrize(("clipped", "is_too_much"), [(959, False), (960, True)])
def test_one_sample_in_a_thousand_of_a_minute_is_too_much(clipped, is_too_much):
    loud, minute = clipped_second(clipped), [clipped_second(0)] * 60
    assert clipping(loud).is_too_much is is_too_much
    assert clipping(*minute[1:], loud).is_too_much is is_too_much
    assert not clipping(loud, *minute).is_too_much


SECOND = bytes(32_000)
DEAD, ALIVE = True, False


@pytest.fixture
def silence():
    return DigitalSilence()


def hear(silence: DigitalSilence, *seconds: bytes, rate: int = RATE) -> list[bool | None]:
    """For each second what the verdict changes to, or None."""
    return [
        silence.is_dead if silence.hear(np.frombuffer(pcm, "<i2"), rate) else None
        for pcm in seconds
    ]


def flicker(low: int, high: int) -> bytes:
    """A second in which the samples go up and down between two values."""
    return np.tile(np.array([low, high], "<i2"), 8000).tobytes()


@pytest.mark.parametrize(
    ("second", "rate"), [(SECOND, RATE), (b"\7\0" * RATE, RATE), (bytes(96_000), 48_000)]
)
def test_ten_seconds_of_one_value_are_reported_once_at_any_rate(silence, second, rate):
    assert hear(silence, *[second] * 11, rate=rate) == [None] * 9 + [DEAD, None]


@pytest.mark.parametrize(
    ("seconds", "changes"),
    [
        ([*[SECOND] * 9, bytes(31_999) + b"\1", *[SECOND] * 9], [None] * 19),  # one bit is life
        ([*[SECOND] * 12, b"\1\0", b"\1\0"], [*[None] * 9, DEAD, None, None, ALIVE, None]),
        (
            [*[b"\7\0" * RATE] * 10, *[SECOND] * 10],
            [*[None] * 9, DEAD, ALIVE, *[None] * 8, DEAD],
        ),
        ([b""], [None]),
        ([flicker(-2, 1)] * 120, [None] * 120),  # more than the last bit is a quiet room
    ],
)
def test_silence_and_life_are_reported_once(silence, seconds, changes):
    assert hear(silence, *seconds) == changes


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1), (499, 501)])
def test_a_minute_of_the_last_bit_is_a_dead_line(silence, low, high):
    assert hear(silence, *[flicker(low, high)] * 61) == [None] * 59 + [DEAD, None]
    assert silence.what == f"values from {low} to {high}"
    assert hear(silence, b"\x40\0\xc0\xff") == [ALIVE]


def test_a_muted_line_that_flickers_now_and_then_stays_dead_after_a_minute(silence):
    seconds = [flicker(0, 1) if second % 15 == 14 else SECOND for second in range(90)]
    changes = hear(silence, *seconds)
    assert changes[9] is changes[24] is DEAD
    assert changes[14] is changes[29] is ALIVE
    assert silence.is_dead
    assert changes[60:] == [None] * 30


PIECE = 640
STEP_S = PIECE / RATE


class Card:
    """A converter that the test lets run, late, fast, or with losses."""

    def __init__(self, skew: float = 0.0, jitter: tuple[float, ...] = (0.0,)):
        self.now, self.arrived, self.skew = 5.0, PIECE, skew
        self.jitter = jitter
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


@pytest.fixture
def card():
    """A card that has run for two seconds."""
    made = Card()
    made.run(2)
    return made


@pytest.mark.parametrize(
    ("converter", "seconds"),
    [
        pytest.param(Card(), 60, id="perfect"),
        pytest.param(Card(skew=1e-4), 3600, id="fast"),
        pytest.param(Card(skew=-1e-4), 3600, id="slow"),
        pytest.param(Card(jitter=(0.0, 0.045, 0.02, 0.01, 0.045)), 60, id="in periods"),
    ],
)
def test_a_healthy_card_loses_nothing(converter, seconds):
    assert converter.run(seconds) == 0


@pytest.mark.parametrize(("gap_s", "lost"), [(1.25, 20_000), (0, 1)])
def test_an_overflow_is_a_gap_measured_by_the_clock(card, gap_s, lost):
    card.now += gap_s  # nothing was read during the gap, and the buffer kept none of it
    assert card.step(overflowed=True) == lost
    assert card.run(60) == 0


def test_an_overflow_at_the_first_read_is_a_gap():
    assert LossMeter(RATE, 1.0).lost(1.0, PIECE, overflowed=True) == 1


def test_a_loss_without_a_flag_is_found_within_seconds(card):
    card.now += 0.5
    lost = card.run(1.5)
    assert abs(lost - 8000) <= PIECE
    assert card.run(60) == 0


def test_sound_that_comes_late_but_comes_is_not_lost(card):
    assert [card.step(arrives=0) for _ in range(20)] == [0] * 20
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
