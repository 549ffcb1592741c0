"""When a link is tried again, and which of its failures are reported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.delivery.events import LinkDown, LinkUp
from jarvis_ear.link.supervisor import LinkState, LinkStatus, Series, Setback, delay_s

URL = "http://localhost:4000"
REFUSED = (Setback.UNREACHABLE, "connection refused", "start it")
LOST = (Setback.UNREACHABLE, "link lost", "")
RANGES_S = {Setback.UNREACHABLE: (0.5, 2.5), Setback.REJECTED: (30, 60), Setback.FOREIGN: (0.5, 30)}


@given(st.sampled_from(list(Setback)), st.integers(1, 10_000), st.floats(0, 1))
def test_each_setback_has_a_range_of_waits(setback, attempt, rand):
    least_s, most_s = RANGES_S[setback]
    assert least_s <= delay_s(setback, attempt, rand) <= most_s


def test_the_wait_grows_and_uses_the_whole_range():
    assert [delay_s(Setback.FOREIGN, n, 1.0) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert [delay_s(Setback.UNREACHABLE, n, 1.0) for n in range(1, 5)] == [1, 2, 2.5, 2.5]
    assert delay_s(Setback.FOREIGN, 7, 0.0) == 0.5


def test_failures_of_one_kind_are_counted_in_a_row():
    series = Series()
    kinds = [Setback.UNREACHABLE, Setback.UNREACHABLE, Setback.FOREIGN, Setback.UNREACHABLE]
    assert [series.failed(kind) for kind in kinds] == [1, 2, 1, 1]


def test_a_link_that_flaps_is_reported_once():
    series = Series()
    reported = []
    for _ in range(5):
        reported += [series.should_warn(Setback.UNREACHABLE), series.should_clear()]
        series.lasted(1.0)
    assert reported == [True, True] + 8 * [False]


def test_a_worse_kind_of_failure_is_reported_too():
    series = Series()
    assert not series.should_clear()  # nothing was reported
    assert series.should_warn(Setback.UNREACHABLE)
    assert series.should_warn(Setback.REJECTED)
    assert series.should_clear()


def test_a_link_that_held_ends_the_series():
    series = Series()
    for lasted_s in (30.0, 0.0):
        assert series.failed(Setback.UNREACHABLE) == 1
        assert series.should_warn(Setback.UNREACHABLE)
        assert series.should_clear()
        series.lasted(lasted_s)


@pytest.fixture
def status():
    return LinkStatus()


def test_the_first_success_has_no_duration(status):
    assert (status.state, status.wait_tried(0)) == (LinkState.TRYING, False)
    assert status.reached(URL, 5.0) == LinkUp(URL, None)
    assert status.wait_tried(0)


def test_a_backend_that_was_never_there_is_reported_once(status):
    assert status.failed(*REFUSED, 1.0) == LinkDown("connection refused")
    assert status.trouble == ("connection refused", "start it")
    assert status.failed(*REFUSED, 2.0) is None
    assert status.reached(URL, 3.0) == LinkUp(URL, None)
    assert status.trouble == ("", "")


def test_an_outage_is_reported_once_at_each_end(status):
    status.reached(URL, 0.0)
    assert status.failed(*LOST, 10.0) == LinkDown("link lost")
    assert status.failed(*REFUSED, 11.0) is None
    assert status.reached(URL, 14.5) == LinkUp(URL, 4.5)


def test_a_planned_end_is_not_reported_unless_it_becomes_an_outage(status):
    status.reached(URL, 0.0)
    status.replaced(10.0)
    assert status.state is LinkState.DISCONNECTED
    assert status.reached(URL, 10.1) is None
    status.replaced(20.0)
    assert status.failed(*REFUSED, 20.1) == LinkDown("connection refused")
    assert status.reached(URL, 22.0) == LinkUp(URL, 2.0)


def test_after_a_reload_it_starts_again(status):
    status.reached(URL, 0.0)
    status.failed(Setback.REJECTED, "wrong password", "", 1.0)
    assert status.state is LinkState.AUTH_FAILED
    status.forget()
    assert (status.state, status.trouble) == (LinkState.TRYING, ("", ""))
    assert status.reached(URL, 5.0) == LinkUp(URL, None)
