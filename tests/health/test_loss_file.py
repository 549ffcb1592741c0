"""A loss of the microphone is as long for the next ear as it was for the one before."""

import os

import pytest

from fakes.clock import FakeClock
from jarvis_ear.health.deaf_time import LOSS_FILE, RESTART_S, STORE_S, LossFile


@pytest.fixture
def clock():
    return FakeClock()


def test_without_a_loss_there_is_nothing_to_go_on_with(tmp_path, clock):
    assert LossFile(tmp_path, clock.monotonic).carried_s() == 0
    assert LossFile(None, clock.monotonic).carried_s() == 0


def test_the_next_ear_goes_on_where_the_one_before_ended(tmp_path, clock):
    mark = LossFile(tmp_path, clock.monotonic)
    mark.lasts(0)
    clock.now += STORE_S
    mark.lasts(STORE_S)
    clock.now += 2  # nothing is written so soon, and nothing is lost by that
    mark.lasts(STORE_S + 2)
    clock.now += 3
    assert LossFile(tmp_path, clock.monotonic).carried_s() == pytest.approx(STORE_S + 5)


def test_it_is_over_when_there_is_sound(tmp_path, clock):
    mark = LossFile(tmp_path, clock.monotonic)
    mark.lasts(5)
    mark.over()
    assert LossFile(tmp_path, clock.monotonic).carried_s() == 0
    mark.lasts(0)  # a new one is written at once
    clock.now += 1
    assert LossFile(tmp_path, clock.monotonic).carried_s() == pytest.approx(1)


def test_a_stop_for_longer_than_a_restart_was_wanted(tmp_path, clock):
    LossFile(tmp_path, clock.monotonic).lasts(5)
    clock.now += RESTART_S + 1
    assert LossFile(tmp_path, clock.monotonic).carried_s() == 0


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"at": 1e9, "gone_s": 1}', '{"at": 0, "gone_s": -1}', '{"at": "x"}']
)
def test_what_cannot_be_meant_is_nothing(text, tmp_path, clock):
    (tmp_path / LOSS_FILE).write_text(text)
    assert LossFile(tmp_path, clock.monotonic).carried_s() == 0


def test_a_pipe_or_a_link_in_its_place_holds_nobody_up(tmp_path, clock):
    os.mkfifo(tmp_path / LOSS_FILE)
    assert LossFile(tmp_path, clock.monotonic).carried_s() == 0
    (tmp_path / LOSS_FILE).unlink()
    (tmp_path / "other").write_text('{"at": 0, "gone_s": 1}')
    (tmp_path / LOSS_FILE).symlink_to("other")
    assert LossFile(tmp_path, clock.monotonic).carried_s() == 0


def test_a_folder_that_cannot_be_used_costs_nothing_else(tmp_path, clock):
    (tmp_path / "file").touch()
    mark = LossFile(tmp_path / "file" / "folder", clock.monotonic)
    mark.lasts(1)
    mark.over()
    assert mark.carried_s() == 0
