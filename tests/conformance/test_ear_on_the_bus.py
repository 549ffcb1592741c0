"""The ear's half of the suite on the event bus: over real sockets, among independent servers."""

import logging
import time
from http import HTTPStatus

import pytest

from fakes.bus_server import BusServer, members
from fakes.switch import FakeSwitch
from fakes.voice_server import wait_until
from fakes.wire_cases import BUS, on
from jarvis_ear.bus.session import QUEUE_EVENTS
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.link.supervisor import LinkState
from jarvis_ear.wires import event_bus

STATUS = event_bus.STATUS_CHANGED
OPEN = {"module": "audio", "enabled": True, "agentId": "jarvis-ear", "mutedBy": []}


pytestmark = pytest.mark.usefixtures("shortest_waits")


@pytest.fixture
def server():
    with BusServer() as server:
        yield server


@pytest.fixture
def switch():
    return FakeSwitch()


@pytest.fixture
def join(switch):
    with members(switch) as join:
        yield join


@on(BUS)
def test_connect(wire, server, join, switch):
    switch.by = ("clock", "owner")
    client = join(server.url)
    server.wait(lambda: server.heard != [])
    (said,) = server.heard
    assert said["type"] == "module_status_changed"
    assert said["data"] == OPEN | {"enabled": False, "mutedBy": ["clock", "owner"]}
    assert said["timestamp"]
    assert client.state is LinkState.CONNECTED


@pytest.mark.parametrize("status", ["FORBIDDEN", "NOT_FOUND", "BAD_GATEWAY", "FOUND"])
@on(BUS)
@pytest.mark.usefixtures("wire")
def test_refuse(server, join, status, caplog, monkeypatch):
    monkeypatch.setattr("jarvis_ear.link.supervisor.delay_s", lambda *_: 0.02)
    server.refuse = HTTPStatus[status]
    client = join(server.url)
    state = LinkState.AUTH_FAILED if status == "FORBIDDEN" else LinkState.DISCONNECTED
    wait_until(lambda: client.state is state)
    server.refuse = None
    server.wait_for_clients(1)
    wait_until(lambda: client.state is LinkState.CONNECTED)
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1


@on(BUS)
def test_round_trip(wire, server, join, switch):
    join(server.url)
    server.wait_for_clients(1)
    server.order(enabled=False)
    switch.wait_for_orders(1)
    server.say({"type": "module_control", "module": "audio", "enabled": True})
    switch.wait_for_orders(2)
    assert switch.orders == [False, True]


@on(BUS)
def test_round_trip_of_what_is_posted_in_order(wire, server, join):
    client = join(server.url)
    server.wait(lambda: len(server.heard) == 1)
    for number in range(5):
        client.post(event_bus.Event("turn", {"n": number}, "then"))
    server.wait(lambda: len(server.heard) == 6)
    assert server.of("turn") == [{"n": n} for n in range(5)]


@on(BUS)
def test_abrupt_close_or_a_polite_one_and_it_says_again_how_things_are(
    wire, server, join, switch, caplog
):
    caplog.set_level(logging.INFO)
    join(server.url)
    server.wait(lambda: len(server.heard) == 1)
    server.hang_up()
    server.wait(lambda: len(server.heard) == 2)
    server.drop()
    server.wait(lambda: len(server.heard) == 3)
    assert server.of("module_status_changed") == [OPEN] * 3
    levels = [record.levelname for record in caplog.records if "bus" in record.message]
    assert levels == ["INFO", "WARNING", "INFO"]


@on(BUS)
def test_oversize(wire, server, join):
    join(server.url)
    server.wait_for_clients(1)
    server.say("x" * 300_000)
    server.wait_for_clients(2)


@on(BUS)
def test_garbage(wire, server, join, switch):
    client = join(server.url)
    server.wait_for_clients(1)
    garbage = ("{", "[]", b"\0", '{"error":"Invalid JSON"}', '{"type":7}', "[" * 60_000)
    for frame in garbage:
        server.say(frame)
    server.order(enabled=False)
    switch.wait_for_orders(1)
    assert client.counters() == {"bus_dropped": 0, "bus_refused": len(garbage)}
    assert client.state is LinkState.CONNECTED


@on(BUS)
def test_reconnect_tells_what_was_posted_meanwhile_up_to_a_bound(wire, join, switch):
    with BusServer() as server:
        url = server.url
    client = join(url)
    for number in range(QUEUE_EVENTS + 5):
        client.post(event_bus.Event("turn", {"n": number}))
    assert client.counters()["bus_dropped"] == 5
    wait_until(lambda: client.state is LinkState.DISCONNECTED)
    with BusServer(int(url.rpartition(":")[2])) as server:
        server.wait(lambda: server.of("module_status_changed") == [OPEN])
        assert server.of("turn") == [{"n": n} for n in range(6, QUEUE_EVENTS + 5)]
        assert server.heard[-1]["data"] == OPEN


@on(BUS)
def test_slow_reader(wire, switch, join):
    with BusServer(reads=False) as server:
        client = join(server.url, Timing(ping_s=0.05, dead_s=0.3))
        server.wait_for_clients(1)
        began = time.monotonic()
        for number in range(500):
            client.post(event_bus.Event("turn", {"n": number, "much": "A" * 100_000}))
        assert time.monotonic() - began < 1, "it waits for no client"
        wait_until(lambda: client.counters()["bus_dropped"] > 0)
        server.reads = True
        server.wait_for_clients(2)
        server.wait(lambda: STATUS in [each["type"] for each in server.heard])
