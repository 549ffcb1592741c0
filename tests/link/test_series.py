from jarvis_ear.link.backoff import Series, Setback


def test_failures_of_one_kind_are_counted_in_a_row():
    series = Series()
    kinds = [Setback.UNREACHABLE, Setback.UNREACHABLE, Setback.FOREIGN, Setback.UNREACHABLE]
    assert [series.failed(kind) for kind in kinds] == [1, 2, 1, 1]


def test_a_link_that_flaps_is_told_of_once():
    series = Series()
    told = []
    for _ in range(5):
        told.append(series.worth_a_warning(Setback.UNREACHABLE))
        told.append(series.worth_an_all_clear())
        series.held(1.0)
    assert told == [True, True] + 8 * [False]


def test_a_worse_kind_of_failure_is_told_too():
    series = Series()
    assert series.worth_a_warning(Setback.UNREACHABLE)
    assert series.worth_a_warning(Setback.REJECTED)
    assert series.worth_an_all_clear()


def test_nothing_is_cleared_that_was_not_warned_of():
    assert not Series().worth_an_all_clear()


def test_a_link_that_held_ends_the_series():
    series = Series()
    series.failed(Setback.UNREACHABLE)
    series.worth_a_warning(Setback.UNREACHABLE)
    series.worth_an_all_clear()
    series.held(30.0)
    assert series.failed(Setback.UNREACHABLE) == 1
    assert series.worth_a_warning(Setback.UNREACHABLE)
    assert series.worth_an_all_clear()
