from jarvis_ear.log.throttle import MOST_S, Seldom


def told(times) -> list[float]:
    seldom = Seldom()
    return [at for at in times if seldom.now(at)]


def test_what_happens_all_the_time_is_told_ever_more_seldom():
    assert told(range(3600)) == [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]


def test_what_happens_once_in_a_while_is_always_told():
    assert told([0, MOST_S, 2 * MOST_S, 5000]) == [0, MOST_S, 2 * MOST_S, 5000]


def test_after_a_calm_time_it_is_news_again():
    times = [*range(100), *range(2000, 2015)]
    assert told(times) == [0, 10, 30, 70, 2000, 2010]
