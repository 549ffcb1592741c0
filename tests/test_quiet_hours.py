from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.mute import QuietHours


def wall_clock(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001 - a clock on the wall names no zone


NIGHT = QuietHours.parse("23:00-07:00")
NOON = QuietHours.parse("12:00-13:30")


@pytest.mark.parametrize(
    ("hours", "wall", "night"),
    [
        (NIGHT, wall_clock(2026, 5, 1, 22, 59, 59), None),
        (NIGHT, wall_clock(2026, 5, 1, 23, 0), date(2026, 5, 1)),
        (NIGHT, wall_clock(2026, 5, 2, 0, 0), date(2026, 5, 1)),
        (NIGHT, wall_clock(2026, 5, 2, 6, 59, 59), date(2026, 5, 1)),
        (NIGHT, wall_clock(2026, 5, 2, 7, 0), None),
        (NOON, wall_clock(2026, 5, 1, 11, 59), None),
        (NOON, wall_clock(2026, 5, 1, 12, 0), date(2026, 5, 1)),
        (NOON, wall_clock(2026, 5, 1, 13, 30), None),
    ],
)
def test_a_time_is_quiet_or_not(hours, wall, night):
    assert hours.night(wall) == night


def test_no_hours_are_none():
    assert QuietHours.parse("") is None


@pytest.mark.parametrize(
    ("evening", "hours"), [((2026, 3, 28), 7), ((2026, 10, 24), 9), ((2026, 6, 1), 8)]
)
def test_a_night_with_a_change_of_the_clock_ends_at_seven_all_the_same(evening, hours):
    berlin = ZoneInfo("Europe/Berlin")
    began = datetime(*evening, 22, 0, tzinfo=berlin).astimezone(UTC)
    minutes = [began + timedelta(minutes=at) for at in range(24 * 60)]
    nights = [NIGHT.night(at.astimezone(berlin).replace(tzinfo=None)) for at in minutes]
    assert nights.count(date(*evening)) == hours * 60
    assert set(nights[60 : 60 + hours * 60]) == {date(*evening)}  # without an interruption


@given(st.datetimes(wall_clock(2026, 1, 1), wall_clock(2027, 1, 1)), st.times(), st.times())
def test_a_moment_is_in_the_hours_or_in_those_between_them(wall, one, other):
    if one == other:
        return
    inside = QuietHours(one, other).night(wall)
    outside = QuietHours(other, one).night(wall)
    assert (inside is None) != (outside is None)
