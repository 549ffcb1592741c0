from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.link.supervisor import Series, Setback, delay_s

ATTEMPTS = st.integers(1, 10_000)
RANDS = st.floats(0, 1)


@given(ATTEMPTS, RANDS)
def test_a_backend_that_may_be_back_is_looked_for_every_half_to_two_and_a_half_seconds(n, rand):
    assert 0.5 <= delay_s(Setback.UNREACHABLE, n, rand) <= 2.5


@given(ATTEMPTS, RANDS)
def test_a_wrong_password_is_tried_at_most_twice_a_minute(n, rand):
    assert 30 <= delay_s(Setback.REJECTED, n, rand) <= 60


@given(ATTEMPTS, RANDS)
def test_whoever_is_not_our_backend_is_asked_less_and_less(n, rand):
    assert 0.5 <= delay_s(Setback.FOREIGN, n, rand) <= 30


def test_the_wait_grows_and_uses_the_whole_range():
    assert [delay_s(Setback.FOREIGN, n, 1.0) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert [delay_s(Setback.UNREACHABLE, n, 1.0) for n in range(1, 5)] == [1, 2, 2.5, 2.5]
    assert delay_s(Setback.FOREIGN, 7, 0.0) == 0.5


def test_failures_of_one_kind_are_counted_in_a_row():
    series = Series()
    kinds = [Setback.UNREACHABLE, Setback.UNREACHABLE, Setback.FOREIGN, Setback.UNREACHABLE]
    assert [series.failed(kind) for kind in kinds] == [1, 2, 1, 1]


def test_a_link_that_flaps_is_told_of_once():
    series = Series()
    told = []
    for _ in range(5):
        told.append(series.should_warn(Setback.UNREACHABLE))
        told.append(series.should_clear())
        series.lasted(1.0)
    assert told == [True, True] + 8 * [False]


def test_a_worse_kind_of_failure_is_told_too():
    series = Series()
    assert series.should_warn(Setback.UNREACHABLE)
    assert series.should_warn(Setback.REJECTED)
    assert series.should_clear()


def test_nothing_is_cleared_that_was_not_warned_of():
    assert not Series().should_clear()


def test_a_link_that_held_ends_the_series():
    series = Series()
    series.failed(Setback.UNREACHABLE)
    series.should_warn(Setback.UNREACHABLE)
    series.should_clear()
    series.lasted(30.0)
    assert series.failed(Setback.UNREACHABLE) == 1
    assert series.should_warn(Setback.UNREACHABLE)
    assert series.should_clear()
