import json
import stat
from datetime import datetime

import pytest

from jarvis_ear.mute import FILE, Mute, QuietHours


def wall_clock(*parts: int) -> datetime:
    return datetime(2026, 5, *parts)  # noqa: DTZ001 - a clock on the wall names no zone


class Owner:
    """A person with a mute, a wall clock and a state folder."""

    def __init__(self, folder, hours: str = ""):
        self.folder = folder
        self.hours = hours
        self.wall = wall_clock(1, 12, 0)
        self.changes = []
        self.start()

    def start(self) -> bool:
        """Begin anew, as after a restart or a kill -9: nothing was closed in order."""
        hours = QuietHours.parse(self.hours)
        self.mute = Mute(self.folder, hours, wall=lambda: self.wall)
        self.mute.connect(self.changes.append)
        self.starts_muted = self.mute.load()
        return self.starts_muted

    def at(self, *day_and_time: int) -> tuple[str, ...]:
        self.wall = wall_clock(*day_and_time)
        self.mute.look()
        return self.mute.by


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "state")


def test_mute_and_unmute(owner):
    assert not owner.starts_muted
    owner.mute.mute()
    owner.mute.mute()
    assert owner.mute.by == ("owner",)
    owner.mute.unmute()
    assert owner.mute.by == ()
    assert owner.changes == [True, False]


def test_toggle(owner):
    owner.mute.toggle()
    assert owner.mute.by == ("owner",)
    owner.mute.toggle()
    assert owner.mute.by == ()


def test_only_an_unmute_ends_it(owner):
    owner.mute.mute()
    assert owner.start()
    assert owner.start()
    assert owner.mute.by == ("owner",)
    owner.mute.unmute()
    assert not owner.start()


def test_others_let_go_of_their_own_mute_only(owner):
    owner.mute.mute()
    owner.mute.mute("bus")
    owner.mute.unmute("bus")
    assert owner.mute.by == ("owner",)
    owner.mute.mute("bus")
    owner.mute.unmute()
    assert owner.mute.by == ()


def test_the_file_is_ours_alone(owner):
    owner.mute.mute()
    file = owner.folder / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(owner.folder.stat().st_mode) == 0o700
    assert [path.name for path in owner.folder.iterdir()] == [FILE]
    assert owner.mute.stored


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"by": 7, "awake_night": ""}'])
def test_who_does_not_know_stays_muted(owner, text, caplog):
    owner.folder.mkdir()
    (owner.folder / FILE).write_text(text)
    assert owner.start()
    assert "so the ear stays muted" in caplog.text


def test_a_mute_that_cannot_be_stored_holds_all_the_same(owner, caplog):
    owner.folder.write_text("a file where the folder should be")
    owner.mute.mute()
    assert owner.mute.by == ("owner",)
    assert owner.changes == [True]
    assert not owner.mute.stored
    assert "a restart will not know" in caplog.text


def test_quiet_hours_come_and_go(tmp_path):
    owner = Owner(tmp_path, "23:00-07:00")
    assert [owner.at(1, 22, 59), owner.at(1, 23, 0), owner.at(2, 7, 0)] == [(), ("clock",), ()]
    assert owner.changes == [True, False]


def test_a_start_in_quiet_hours_is_a_muted_one(tmp_path):
    owner = Owner(tmp_path, "23:00-07:00")
    owner.at(1, 23, 30)
    assert owner.start()
    owner.at(2, 8, 0)
    assert not owner.start()


def test_the_end_of_the_night_does_not_end_the_mute_of_the_owner(tmp_path):
    owner = Owner(tmp_path, "23:00-07:00")
    owner.at(1, 23, 0)
    owner.mute.mute()
    assert owner.at(2, 7, 0) == ("owner",)
    assert owner.changes == [True]


def test_the_owner_may_end_the_night_until_the_next(tmp_path):
    owner = Owner(tmp_path, "23:00-07:00")
    owner.at(1, 23, 0)
    owner.mute.unmute()
    assert owner.at(2, 3, 0) == ()
    assert not owner.start()
    assert owner.at(2, 23, 0) == ("clock",)


def test_what_is_stored_names_no_clock(tmp_path):
    owner = Owner(tmp_path, "23:00-07:00")
    owner.at(1, 23, 0)
    owner.mute.mute()
    assert json.loads((tmp_path / FILE).read_text()) == {"by": ["owner"], "awake_night": ""}


def test_it_knows_until_when_only_the_clock_wants_it(tmp_path):
    owner = Owner(tmp_path, "23:00-07:00")
    assert owner.mute.until == ""
    owner.at(1, 23, 30)
    assert owner.mute.until == "07:00"
    owner.mute.mute()
    assert owner.mute.until == ""


def test_other_quiet_hours_count_from_the_next_look_on(tmp_path):
    owner = Owner(tmp_path, "23:00-07:00")
    owner.mute.change(QuietHours.parse("11:00-13:00"))
    assert owner.at(1, 12, 0) == ("clock",)
    owner.mute.change(None)
    assert owner.at(1, 12, 1) == ()
    assert owner.changes == [True, False]
