from datetime import date

from jarvis_ear.system.deaf_time import DeafTime


def test_only_the_time_between_deaf_looks_counts():
    deaf = DeafTime(lambda: date(2026, 5, 1))
    for now, is_deaf in [(0, False), (1, True), (2, True), (3, True), (4, False), (9, False)]:
        deaf.look(now, deaf=is_deaf)
    assert deaf.seconds == 3


def test_a_new_day_begins_at_zero():
    day = [date(2026, 5, 1)]
    deaf = DeafTime(lambda: day[0])
    for now in range(100):
        deaf.look(now, deaf=True)
    assert deaf.seconds == 99
    day[0] = date(2026, 5, 2)
    deaf.look(100, deaf=True)
    assert deaf.seconds == 1
