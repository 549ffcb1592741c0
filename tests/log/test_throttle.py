from jarvis_ear.log.throttle import RARE_S, Throttle


def told(times) -> list[float]:
    throttle = Throttle()
    return [at for at in times if throttle.allows(at)]


def test_what_happens_all_the_time_is_told_ever_more_seldom():
    assert told(range(3600)) == [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]


def test_what_happens_once_in_a_while_is_always_told():
    assert told([0, RARE_S, 2 * RARE_S, 5000]) == [0, RARE_S, 2 * RARE_S, 5000]


def test_after_a_calm_time_it_is_news_again():
    times = [*range(100), *range(2000, 2015)]
    assert told(times) == [0, 10, 30, 70, 2000, 2010]


def test_an_interval_may_be_fixed():
    throttle = Throttle(60, 60)
    assert [at for at in range(200) if throttle.allows(at)] == [0, 60, 120, 180]


def test_what_tells_nothing_new_waits_longer():
    throttle = Throttle()
    assert [at for at in range(0, 1300, 5) if throttle.allows(at, least_s=RARE_S)] == [0, 600, 1200]
    assert throttle.allows(1240)
    assert throttle.allowed
