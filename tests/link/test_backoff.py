from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.link.backoff import Setback, delay_s

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
