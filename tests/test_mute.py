"""The mute: who wants it, what a restart knows of it, and the quiet hours."""

import json
import stat
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.mute import DAY_S, FILE, LONGEST_S, Mute, QuietHours, mute_seconds


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


def test_a_timed_mute_ends_by_itself(owner, caplog):
    caplog.set_level("INFO")
    owner.mute.mute(for_s=1800)
    assert (owner.mute.by, owner.mute.until) == (("owner",), "12:30")
    assert "muted by the owner until 12:30: the microphone is closed" in caplog.text
    assert caplog.records[-1].MUTED_UNTIL == "12:30"
    assert owner.at(1, 12, 29) == ("owner",)
    assert owner.at(1, 12, 30) == ()
    assert owner.mute.until == ""
    assert owner.changes == [True, False]
    assert not owner.start()


def test_the_last_minute_of_a_timed_mute_has_seconds(owner, caplog):
    caplog.set_level("INFO")
    owner.mute.mute(for_s=5)
    assert owner.mute.until == "12:00:05"
    assert caplog.records[-1].MUTED_UNTIL == "12:00:05"
    owner.mute.mute(for_s=90)
    assert owner.mute.until == "12:01"


def test_a_restart_knows_the_end_of_a_timed_mute(owner):
    owner.mute.mute(for_s=1800)
    owner.wall = wall_clock(1, 12, 29)
    assert owner.start()
    assert owner.mute.until == "12:30"
    owner.wall = wall_clock(1, 12, 31)  # it passed while the ear did not run
    assert not owner.start()
    assert owner.mute.by == ()


def test_the_last_word_of_the_owner_counts(owner, caplog):
    caplog.set_level("INFO")
    owner.mute.mute()
    owner.mute.mute(for_s=60)
    assert "muted by the owner until 12:01" in caplog.text
    owner.mute.mute()
    assert owner.at(1, 12, 2) == ("owner",)
    owner.mute.mute(for_s=60)
    owner.mute.unmute()
    owner.mute.mute("bus")
    assert owner.at(1, 12, 4) == ("bus",)
    assert owner.changes == [True, False, True]
    assert "ends_at" not in json.loads((owner.folder / FILE).read_text())


def test_a_timed_mute_beside_other_mutes(sleeper):
    sleeper.at(1, 22, 30)
    sleeper.mute.mute(for_s=3600)
    assert sleeper.mute.until == "07:00"  # it ends in the quiet hours, which go on
    assert sleeper.at(1, 23, 30) == ("clock",)
    sleeper.mute.mute("bus")
    assert sleeper.mute.until == ""  # nobody knows when the bus lets go
    sleeper.mute.unmute()
    sleeper.mute.mute(for_s=3600)
    assert sleeper.mute.until == "00:30"  # the owner has ended these quiet hours


def test_a_stored_end_that_is_no_number_does_not_open_the_microphone(owner):
    owner.folder.mkdir()
    (owner.folder / FILE).write_text('{"by": ["owner"], "awake_night": "", "ends_at": "soon"}')
    assert owner.start()
    assert owner.at(9, 12, 0) == ("owner",)


@pytest.mark.parametrize(
    ("text", "length_s"),
    [
        *(("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("24h", DAY_S)),
        *(("until 12:30", 1800), ("13:00", 3600), ("until  7:05", 68_700), ("12:00", DAY_S)),
    ],
)
def test_the_length_of_a_mute(text, length_s):
    assert mute_seconds(text, wall_clock(1, 12, 0)) == length_s <= LONGEST_S


@pytest.mark.parametrize(
    "text", ["", "30", "0m", "-5m", "25h", "1441m", "30m 2h", "until", "until 24:00", "1.5h", "h"]
)
def test_what_is_no_length_of_a_mute(text):
    with pytest.raises(
        ValueError, match=r"^expected 30m, 2h, 1h30m, 90s or until 07:30, at most 24h$"
    ):
        mute_seconds(text, wall_clock(1, 12, 0))


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
