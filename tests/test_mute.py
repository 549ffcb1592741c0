"""The mute: who wants it, what a restart knows of it, and the quiet hours."""

import json
import stat
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.fixture
def sleeper(tmp_path):
    return Owner(tmp_path, "23:00-07:00")


def test_mute_unmute_and_toggle(owner):
    assert not owner.starts_muted
    owner.mute.mute()
    owner.mute.mute()
    assert owner.mute.by == ("owner",)
    owner.mute.unmute()
    assert owner.mute.by == ()
    assert owner.changes == [True, False]
    owner.mute.toggle()
    assert owner.mute.by == ("owner",)
    owner.mute.toggle()
    assert owner.mute.by == ()


def test_a_mute_is_stored_in_a_private_file_until_an_unmute(owner):
    owner.mute.mute()
    assert owner.mute.stored
    assert [path.name for path in owner.folder.iterdir()] == [FILE]
    assert stat.S_IMODE((owner.folder / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(owner.folder.stat().st_mode) == 0o700
    assert owner.start()
    assert owner.start()
    assert owner.mute.by == ("owner",)
    owner.mute.unmute()
    assert not owner.start()


def test_the_bus_ends_its_own_mute_only(owner):
    owner.mute.mute()
    owner.mute.mute("bus")
    owner.mute.unmute("bus")
    assert owner.mute.by == ("owner",)
    owner.mute.mute("bus")
    owner.mute.unmute()
    assert owner.mute.by == ()


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"by": 7, "awake_night": ""}'])
def test_an_ear_that_cannot_read_the_file_stays_muted(owner, text, caplog):
    owner.folder.mkdir()
    (owner.folder / FILE).write_text(text)
    assert owner.start()
    assert "so the ear stays muted" in caplog.text


def test_a_mute_that_cannot_be_stored_holds(owner, caplog):
    owner.folder.write_text("a file where the folder should be")
    owner.mute.mute()
    assert owner.mute.by == ("owner",)
    assert owner.changes == [True]
    assert not owner.mute.stored
    assert "a restart will not know" in caplog.text


def test_quiet_hours_mute_the_ear(sleeper):
    assert [sleeper.at(1, 22, 59), sleeper.at(1, 23, 0), sleeper.at(2, 7, 0)] == [
        (),
        ("clock",),
        (),
    ]
    assert sleeper.changes == [True, False]
    sleeper.at(2, 23, 30)
    assert sleeper.start()
    sleeper.at(3, 8, 0)
    assert not sleeper.start()


def test_the_end_of_the_night_does_not_end_the_mute_of_the_owner(sleeper):
    assert sleeper.mute.until == ""
    sleeper.at(1, 23, 0)
    assert sleeper.mute.until == "07:00"
    sleeper.mute.mute()
    assert sleeper.mute.until == ""
    stored = json.loads((sleeper.folder / FILE).read_text())
    assert stored == {"by": ["owner"], "awake_night": ""}  # the clock is not stored
    assert sleeper.at(2, 7, 0) == ("owner",)
    assert sleeper.changes == [True]


def test_the_owner_may_end_the_quiet_hours_until_the_next_night(sleeper):
    sleeper.at(1, 23, 0)
    sleeper.mute.unmute()
    assert sleeper.at(2, 3, 0) == ()
    assert not sleeper.start()
    assert sleeper.at(2, 23, 0) == ("clock",)


def test_other_quiet_hours_count_from_the_next_look_on(sleeper):
    sleeper.mute.change(QuietHours.parse("11:00-13:00"))
    assert sleeper.at(1, 12, 0) == ("clock",)
    sleeper.mute.change(None)
    assert sleeper.at(1, 12, 1) == ()
    assert sleeper.changes == [True, False]


NIGHT, NOON = map(QuietHours.parse, ("23:00-07:00", "12:00-13:30"))


@pytest.mark.parametrize(
    ("hours", "wall", "is_quiet"),
    [
        (NIGHT, wall_clock(1, 22, 59, 59), False),
        (NIGHT, wall_clock(1, 23, 0), True),
        (NIGHT, wall_clock(2, 0, 0), True),
        (NIGHT, wall_clock(2, 6, 59, 59), True),
        (NIGHT, wall_clock(2, 7, 0), False),
        (NOON, wall_clock(1, 11, 59), False),
        (NOON, wall_clock(1, 12, 0), True),
        (NOON, wall_clock(1, 13, 30), False),
    ],
)
def test_a_time_is_quiet_or_not(hours, wall, is_quiet):
    assert hours.night(wall) == (date(2026, 5, 1) if is_quiet else None)
    assert QuietHours.parse("") is None


@pytest.mark.parametrize(
    ("evening", "hours"), [((2026, 3, 28), 7), ((2026, 10, 24), 9), ((2026, 6, 1), 8)]
)
def test_a_night_with_a_change_of_the_clock_ends_at_seven(evening, hours):
    berlin = ZoneInfo("Europe/Berlin")
    began = datetime(*evening, 22, 0, tzinfo=berlin).astimezone(UTC)
    minutes = [began + timedelta(minutes=at) for at in range(24 * 60)]
    nights = [NIGHT.night(at.astimezone(berlin).replace(tzinfo=None)) for at in minutes]
    assert nights.count(date(*evening)) == hours * 60
    assert set(nights[60 : 60 + hours * 60]) == {date(*evening)}  # without an interruption


@given(st.datetimes(wall_clock(1), wall_clock(31)), st.times(), st.times())
def test_a_moment_is_in_the_hours_or_in_those_between_them(wall, one, other):
    if one == other:
        return
    inside = QuietHours(one, other).night(wall)
    outside = QuietHours(other, one).night(wall)
    assert (inside is None) != (outside is None)
