from jarvis_ear.link.backoff import Series, Setback


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
