"""Who muted, and who may unmute: the bus ends its own mute and no other, unless it may more."""

import os
from datetime import datetime
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jarvis_ear import mute as module
from jarvis_ear.bus.client import BusSwitch
from jarvis_ear.config import BusOptions
from jarvis_ear.mute import BUS, CLOCK, OWNER, Mute, QuietHours
from jarvis_ear.wires.event_bus import LISTEN, REQUESTS, STOP

NIGHT = datetime(2026, 5, 1, 23, 30)  # noqa: DTZ001 - a clock on the wall names no zone
DAY = datetime(2026, 5, 1, 12, 0)  # noqa: DTZ001 - likewise


class Room:
    """An ear that can be muted by all three, with a state folder."""

    def __init__(self, folder, *, may_unmute: bool = False):
        self.folder = folder
        self.may_unmute = may_unmute
        self.wall = DAY
        self.requested = []
        self.restart()

    def restart(self) -> None:
        hours = QuietHours.parse("23:00-07:00")
        self.mute = Mute(self.folder, hours, wall=lambda: self.wall)
        self.mute.load()
        requests = {kind: partial(self.requested.append, kind) for kind in REQUESTS}
        self.bus = BusSwitch(self.mute, BusOptions(may_unmute=self.may_unmute), requests)

    def go(self, step: str) -> None:
        STEPS[step](self)

    def look_at(self, wall: datetime) -> None:
        self.wall = wall
        self.mute.look()


STEPS = {
    "bus closes": lambda room: room.bus.turn(enabled=False),
    "bus opens": lambda room: room.bus.turn(enabled=True),
    "owner closes": lambda room: room.mute.mute(),
    "owner opens": lambda room: room.mute.unmute(),
    "owner presses": lambda room: room.mute.toggle(),
    "night": lambda room: room.look_at(NIGHT),
    "day": lambda room: room.look_at(DAY),
    "restart": Room.restart,
}


@pytest.mark.parametrize(
    ("steps", "by", "with_permission"),
    [
        (["bus closes"], [BUS], [BUS]),
        (["bus closes", "bus opens"], [], []),
        (["bus closes", "restart"], [BUS], [BUS]),
        (["bus closes", "restart", "bus opens"], [], []),
        (["bus closes", "owner opens"], [], []),
        (["bus closes", "owner presses"], [], []),
        (["owner closes", "bus opens"], [OWNER], []),
        (["owner closes", "restart", "bus opens"], [OWNER], []),
        (["owner closes", "bus closes", "bus opens"], [OWNER], []),
        (["owner closes", "bus closes", "owner opens"], [], []),
        (["bus closes", "owner closes", "bus opens"], [OWNER], []),
        (["bus closes", "owner closes", "restart", "bus opens"], [OWNER], []),
        (["night", "bus opens"], [CLOCK], []),
        (["night", "restart", "bus opens"], [CLOCK], []),
        (["night", "bus closes", "day"], [BUS], [BUS]),
        (["night", "bus closes", "day", "bus opens"], [], []),
        (["bus closes", "night", "bus opens"], [CLOCK], []),
        (["bus closes", "night", "bus opens", "day"], [], []),
        (["night", "owner opens", "bus closes", "bus opens"], [], []),
        (["bus opens"], [], []),
    ],
    ids=" then ".join,
)
def test_who_muted_and_who_unmutes(tmp_path, steps, by, with_permission):
    for may_unmute, expected in ((False, by), (True, with_permission)):
        room = Room(tmp_path / str(may_unmute), may_unmute=may_unmute)
        for step in steps:
            room.go(step)
        assert list(room.mute.by) == expected


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(list(STEPS)), max_size=12))
def test_the_bus_never_opens_what_it_did_not_close(tmp_path_factory, monkeypatch, steps):
    monkeypatch.setattr(os, "fsync", lambda _handle: None)  # no power fails here
    room = Room(tmp_path_factory.mktemp("room"))
    for step in steps:
        before = set(room.mute.by)
        room.go(step)
        after = set(room.mute.by)
        if step == "bus opens":
            assert after == before - {BUS}
        elif step == "bus closes":
            assert after == before | {BUS}
        elif step == "restart":
            assert after == before


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


def test_it_may_always_stop_and_listen_only_with_permission(room):
    for kind in REQUESTS:
        room.bus.request(kind)
    assert room.requested == [STOP]
    room.bus.change(BusOptions(may_listen=True))
    room.bus.request(LISTEN)
    assert room.requested == [STOP, LISTEN]


def test_it_says_whether_the_bus_had_its_way(room):
    assert room.bus.turn(enabled=True)
    assert room.bus.turn(enabled=False)
    room.mute.mute()
    assert not room.bus.turn(enabled=True)
    assert room.bus.turn(enabled=False)


def test_an_order_that_changes_nothing_costs_no_write(room):
    room.bus.turn(enabled=False)
    (room.folder / module.FILE).unlink()
    room.bus.turn(enabled=False)
    assert not (room.folder / module.FILE).exists()


def test_a_listener_is_wanted_who_wants_it_closed(room):
    wanted = []
    room.bus.tell(wanted.append)
    room.mute.mute()
    room.bus.tell(wanted.append)
    assert wanted == [(), (OWNER,)]


def test_another_word_of_the_owner_counts_from_then_on(room):
    room.mute.mute(OWNER)
    room.bus.turn(enabled=True)
    assert room.mute.by == (OWNER,)
    room.bus.change(BusOptions(may_unmute=True))
    room.bus.turn(enabled=True)
    assert room.mute.by == ()
