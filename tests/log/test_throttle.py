import pytest

from jarvis_ear.log.throttle import RARE_S, Throttle


@pytest.mark.parametrize(
    ("throttle", "times", "allowed"),
    [
        (Throttle(), range(3600), [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]),
        (Throttle(), [0, RARE_S, 2 * RARE_S, 5000], [0, RARE_S, 2 * RARE_S, 5000]),
        (Throttle(), [*range(100), *range(2000, 2015)], [0, 10, 30, 70, 2000, 2010]),
        (Throttle(60, 60), range(200), [0, 60, 120, 180]),
    ],
    ids=["all the time", "once in a while", "again after a calm time", "fixed interval"],
)
def test_a_frequent_event_is_reported_less_and_less_often(throttle, times, allowed):
    assert [at for at in times if throttle.allows(at)] == allowed


def test_a_report_without_news_waits_longer():
    throttle = Throttle()
    assert [at for at in range(0, 1300, 5) if throttle.allows(at, least_s=RARE_S)] == [0, 600, 1200]
    assert throttle.allows(1240)
    assert throttle.allowed
