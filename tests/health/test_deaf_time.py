"""How long the ear is deaf: today, and since its microphone was lost; a restart goes on with it."""

from datetime import date

import pytest

from fakes.clock import FakeClock
from jarvis_ear.health.deaf_time import FILE, LOSS_FILE, RESTART_S, STORE_S, DeafTime, LossFile

MAY = date(2026, 5, 1)


def deaf_for(seconds, folder, day=MAY):
    deaf = DeafTime(lambda: day, folder)
    deaf.look(0, deaf=False)
    for now in range(1, seconds + 2):
        deaf.look(now, deaf=now <= seconds)
    return deaf.seconds


def test_the_time_between_deaf_looks_counts_and_a_new_day_begins_at_zero():
    day = [MAY]
    deaf = DeafTime(lambda: day[0])
    for now, is_deaf in [(0, False), (1, True), (2, True), (3, True), (4, False), (9, False)]:
        deaf.look(now, deaf=is_deaf)
    assert deaf.seconds == 3
    deaf.look(10, deaf=True)
    day[0] = date(2026, 5, 2)
    deaf.look(11, deaf=True)
    assert deaf.seconds == 1


def test_a_restart_on_the_same_day_goes_on(tmp_path):
    assert deaf_for(3, tmp_path) == 3
    assert deaf_for(2, tmp_path) == 5
    assert deaf_for(2, tmp_path, date(2026, 5, 2)) == 2
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_sudden_end_forgets_ten_seconds_at_most(tmp_path):
    deaf = DeafTime(lambda: MAY, tmp_path)
    for now in range(26):
        deaf.look(now, deaf=True)
    assert deaf.seconds == 25
    assert deaf_for(0, tmp_path) == 20


@pytest.mark.parametrize("text", ["", "[]", '{"day": 1}', '{"day": "2026-05-01", "seconds": []}'])
def test_a_file_that_cannot_be_understood_counts_nothing(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    assert deaf_for(3, tmp_path) == 3


def test_a_folder_that_cannot_be_used_loses_the_memory_only(tmp_path):
    (tmp_path / "file").touch()
    assert deaf_for(3, tmp_path / "file") == 3
    mark = LossFile(tmp_path / "file" / "folder", FakeClock().monotonic)
    mark.lasts(1)
    mark.over()
    assert mark.carried_s() == 0


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def carried(tmp_path, clock):
    """How long the loss lasts already for an ear that starts now."""
    return lambda folder=tmp_path: LossFile(folder, clock.monotonic).carried_s()


def test_a_loss_goes_on_in_the_next_ear(tmp_path, clock, carried):
    assert carried() == carried(None) == 0
    mark = LossFile(tmp_path, clock.monotonic)
    mark.lasts(0)
    clock.now += STORE_S
    mark.lasts(STORE_S)
    clock.now += 2  # nothing is written so soon, and nothing is lost by that
    mark.lasts(STORE_S + 2)
    clock.now += 3
    assert carried() == pytest.approx(STORE_S + 5)


def test_sound_or_a_longer_stop_ends_a_loss(tmp_path, clock, carried):
    mark = LossFile(tmp_path, clock.monotonic)
    mark.lasts(5)
    mark.over()
    assert carried() == 0
    mark.lasts(0)  # a new one is written at once
    clock.now += 1
    assert carried() == pytest.approx(1)
    clock.now += RESTART_S
    assert carried() == 0


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"at": 1e9, "gone_s": 1}', '{"at": 0, "gone_s": -1}', '{"at": "x"}']
)
def test_a_loss_that_cannot_be_understood_is_none(text, tmp_path, carried):
    (tmp_path / LOSS_FILE).write_text(text)
    assert carried() == 0
