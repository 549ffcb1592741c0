from datetime import date

import pytest

from jarvis_ear.health.deaf_time import FILE, DeafTime


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


MAY = date(2026, 5, 1)


def deaf_for(seconds, folder, day=MAY):
    deaf = DeafTime(lambda: day, folder)
    deaf.look(0, deaf=False)
    for now in range(1, seconds + 2):
        deaf.look(now, deaf=now <= seconds)
    return deaf


def test_a_restart_on_the_same_day_goes_on(tmp_path):
    assert deaf_for(3, tmp_path).seconds == 3
    assert deaf_for(2, tmp_path).seconds == 5
    assert deaf_for(2, tmp_path, date(2026, 5, 2)).seconds == 2
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_sudden_end_forgets_ten_seconds_at_most(tmp_path):
    deaf = DeafTime(lambda: MAY, tmp_path)
    for now in range(26):
        deaf.look(now, deaf=True)
    assert deaf.seconds == 25
    assert deaf_for(0, tmp_path).seconds == 20


@pytest.mark.parametrize("text", ["", "[]", '{"day": 1}', '{"day": "2026-05-01", "seconds": []}'])
def test_what_cannot_be_understood_is_nothing(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    assert deaf_for(3, tmp_path).seconds == 3


def test_a_folder_that_cannot_be_used_costs_only_the_memory(tmp_path):
    (tmp_path / "file").touch()
    assert deaf_for(3, tmp_path / "file").seconds == 3
