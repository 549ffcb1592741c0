"""The ear on a bus, on another, or on none: as the options say, from one reload to the next."""

import threading
from datetime import datetime

import pytest

from fakes.bus_server import BusServer
from fakes.websocket_server import SOON_S
from jarvis_ear.bus.client import BusMembership
from jarvis_ear.config import BackendOptions, BusOptions, Config
from jarvis_ear.errors import ConfigError
from jarvis_ear.mute import Mute
from jarvis_ear.wires.event_bus import CLAIM, Event, stamp

WAKE = Event("wake", {"agentId": "kitchen", "turnId": "t1", "score": 0.9}, stamp(1_700_000_000))


@pytest.fixture
def mute(tmp_path):
    return Mute(tmp_path, None, wall=datetime.now)


@pytest.fixture
def server():
    with BusServer() as server:
        yield server


def at(server, agent_id="kitchen", **options):
    return Config(
        bus=BusOptions(url=server.url, **options), backend=BackendOptions(agent_id=agent_id)
    )


def test_without_a_bus_it_is_member_of_none(mute):
    with BusMembership(Config(), mute) as bus:
        assert not bus.is_member
        assert bus.health() == {"bus": "off"}
        bus.announce(["owner"])
        bus.switch_module("vision", enabled=False)
        bus.post(WAKE)
        bus.prepare(Config())()
        assert bus.health() == {"bus": "off"}


def test_it_joins_and_leaves_by_reload(mute, server):
    with BusMembership(Config(), mute) as bus:
        bus.prepare(at(server))()
        server.wait_for_clients(1)
        assert bus.is_member
        assert "modules" in bus.health()
        server.wait(lambda: server.heard != [])
        bus.prepare(Config())()
        server.wait_for_parted(1)
        assert bus.health() == {"bus": "off"}


@pytest.fixture
def member(mute, server):
    with BusMembership(at(server), mute) as bus:
        server.wait(lambda: len(server.heard) == 1)
        yield bus


def test_under_another_name_it_introduces_itself_anew(member, server):
    member.prepare(at(server, "hall"))()
    server.wait(lambda: len(server.heard) == 2)
    assert [said["data"]["agentId"] for said in server.heard] == ["kitchen", "hall"]


def test_what_the_connection_does_not_depend_on_leaves_it_alone(member, server):
    slower = BackendOptions(agent_id="kitchen", reply_s=7)
    member.prepare(at(server).model_copy(update={"backend": slower}))()
    member.announce([])
    server.wait(lambda: len(server.heard) == 2)
    assert server.joined == 1


def test_events_are_posted_to_the_new_connection_after_a_reload(member, server):
    member.prepare(at(server, publish="wake"))()
    server.wait_for_clients(2)
    member.post(WAKE)
    server.wait(lambda: len(server.of("wake")) == 1)


def test_a_claim_of_another_ear_is_passed_on_whatever_it_holds(mute, server):
    claims = []
    arrived = threading.Event()
    bus = BusMembership(at(server), mute)
    bus.connect(lambda data: (claims.append(data), arrived.set()))
    with bus:
        server.wait_for_clients(1)
        server.say({"type": CLAIM, "data": {"ear": None}, "timestamp": "now"})
        assert arrived.wait(SOON_S)
    assert claims == [{"ear": None}]


def test_what_is_of_no_use_later_is_posted_only_while_the_bus_is_there(member, server, mute):
    claim = Event(CLAIM, {"ear": "kitchen"})
    member.post_now(claim)
    server.wait(lambda: len(server.of(CLAIM)) == 1)
    member.prepare(Config())()
    member.post_now(claim)
    away = BusMembership(Config(bus=BusOptions(url="ws://127.0.0.1:1")), mute)
    away.post_now(claim)
    assert len(server.of(CLAIM)) == 1


def test_a_bus_that_may_not_be_used_changes_nothing(member, server):
    with pytest.raises(ConfigError, match=r"bus\.url"):
        member.prepare(Config(bus=BusOptions(url="ws://10.0.0.1")))
    assert member.is_member
    assert server.joined == 1
