"""The ear on the bus: it obeys, announces, publishes, survives, and believes nobody."""

import json
import logging
import shutil
import socket
import time
from http import HTTPStatus

import pytest

from fakes.bus_server import BusServer, members
from fakes.switch import FakeSwitch
from fakes.tls import Authority, TlsFront
from fakes.voice_server import wait_until
from jarvis_ear.bus.client import BusClient, is_same_server
from jarvis_ear.bus.session import BusSession
from jarvis_ear.config import BackendOptions, BusOptions
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConfigError
from jarvis_ear.link.mailbox import Mailbox
from jarvis_ear.link.supervisor import LinkState
from jarvis_ear.wires import event_bus as wire

KEY = "k" * 32
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


def test_what_it_may_not_do_it_contradicts(server, join, switch):
    switch.by, switch.stubborn = ("owner",), True
    join(server.url)
    server.wait(lambda: len(server.heard) == 1)
    server.order(enabled=True)
    server.wait(lambda: len(server.heard) == 2)
    assert server.heard[1]["data"] == OPEN | {"enabled": False, "mutedBy": ["owner"]}


def test_what_other_ears_announce_is_no_order_nor_are_other_modules(server, join, switch):
    join(server.url)
    server.wait(lambda: server.heard != [])
    for data in ({"module": "audio", "enabled": False, "agentId": "hall"}, {"module": "vision"}):
        server.say({"type": "module_status_changed", "data": {"enabled": False, **data}})
    server.say({"type": "pet_state_changed", "data": {"module": "audio", "enabled": False}})
    server.order(enabled=False)
    switch.wait_for_orders(1)
    assert switch.orders == [False]
    assert len(server.heard) == 1


@pytest.mark.parametrize("kind", wire.REQUESTS)
def test_a_request_is_for_the_ear_that_it_names_or_for_all(server, join, switch, kind):
    join(server.url, backend=BackendOptions(agent_id="kitchen"))
    server.wait_for_clients(1)
    for data in ({"agentId": "hall"}, {"agentId": 7}, {"agentId": "kitchen"}, {}):
        server.say({"type": kind, "data": data, "timestamp": "now"})
    server.order(enabled=False)  # comes after them
    switch.wait_for_orders(1)
    assert switch.requests == [kind, kind]


def test_a_ping_is_answered(server, join):
    join(server.url)
    server.wait_for_clients(1)
    server.say({"type": "ping"})
    server.wait(lambda: any(each["type"] == "pong" for each in server.heard))


def test_it_switches_modules_and_remembers_how_they_are(server, join):
    client = join(server.url)
    server.wait(lambda: len(server.heard) == 1)
    client.switch_module("vision", enabled=False)
    server.wait(lambda: len(server.heard) == 2)
    assert server.heard[1] == {"type": "module_control", "module": "vision", "enabled": False}
    server.say({"type": "module_status_changed", "data": {"module": "vision", "enabled": False}})
    wait_until(lambda: client.modules == {"vision": False})


def test_a_bus_that_says_nothing_is_left(join):
    with BusServer(pongs=False) as server:
        join(server.url, Timing(ping_s=0.05, dead_s=0.2))
        server.wait_for_clients(2)
        assert server.pings > 1


def test_no_password_is_shown_to_a_bus_that_is_not_the_backend(server, join):
    server.refuse = HTTPStatus.FORBIDDEN
    client = join(server.url, backend=BackendOptions(url="http://127.0.0.1:1", password="secret"))
    wait_until(lambda: client.state is LinkState.AUTH_FAILED)
    assert set(server.authorizations) == {None}


def signed(payload):
    return wire.sign(payload, KEY.encode(), time.time())


def test_with_a_key_both_sides_sign(server, join, switch):
    client = join(server.url, key=KEY)
    server.wait(lambda: server.heard != [])
    wire.check(server.heard[0], KEY.encode(), time.time())
    server.order(enabled=False)  # not signed
    order = {"module": "audio", "enabled": True}
    letter = signed({"type": "module_status_changed", "data": order})
    server.say(letter)
    server.say(letter)  # recorded, and played again
    server.say(signed({"type": "module_control", "module": "audio", "enabled": False}))
    switch.wait_for_orders(2)
    assert switch.orders == [True, False]
    assert client.counters()["bus_refused"] >= 2  # with pongs, which this server does not sign


def test_the_key_is_in_no_log_and_on_no_wire(server, join, caplog):
    caplog.set_level(logging.DEBUG)
    join(server.url, key=KEY)
    server.wait(lambda: server.heard != [])
    server.say("{")
    server.hang_up()
    server.wait_for_clients(2)
    assert KEY not in caplog.text
    assert KEY not in json.dumps(server.heard)


def test_unencrypted_to_another_machine_only_if_the_owner_allows_it(switch):
    with pytest.raises(ConfigError, match=r"bus\.url: ws://10\.0\.0\.1 .* expected wss"):
        BusClient(BusOptions(url="ws://10.0.0.1/ws"), BackendOptions(), switch)
    BusClient(BusOptions(url="ws://10.0.0.1/ws", allow_plaintext=True), BackendOptions(), switch)
    BusClient(BusOptions(url="wss://10.0.0.1/ws"), BackendOptions(), switch)


def test_a_bus_that_hangs_while_connecting_does_not_keep_it_from_leaving(join):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = join(f"ws://127.0.0.1:{silent.getsockname()[1]}", Timing(connect_s=30))
        silent.accept()
        assert client.state is LinkState.TRYING


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_over_tls_it_speaks_to_whom_our_authority_vouches_for(server, join, tmp_path):
    port = int(server.url.rpartition(":")[2])
    authority = Authority(tmp_path)
    with TlsFront(port, authority.vouch("good", "DNS:localhost,IP:127.0.0.1")) as front:
        url = f"wss://127.0.0.1:{front.port}"
        stranger = join(url)
        wait_until(lambda: stranger.state is LinkState.DISCONNECTED)
        friend = join(url, backend=BackendOptions(ca_file=authority.certificate.cert))
        wait_until(lambda: friend.state is LinkState.CONNECTED)
        assert stranger.state is LinkState.DISCONNECTED


@pytest.mark.parametrize(
    ("bus", "backend", "same"),
    [
        ("ws://localhost:4000/ws", "http://localhost:4000", True),
        ("wss://kitchen/ws", "https://kitchen:443/", True),
        ("ws://localhost:8000/ws", "http://localhost:4000", False),
        ("ws://kitchen:443", "https://kitchen:443", False),
        ("wss://kitchen", "https://hall", False),
    ],
)
def test_one_server_or_two(bus, backend, same):
    assert is_same_server(bus, backend) is same


@pytest.mark.parametrize(
    ("notes", "modules"),
    [
        (
            [
                wire.status_changed("vision", enabled=False, now_s=0),
                wire.status_changed("action", enabled=True, now_s=0),
                wire.status_changed("vision", enabled=True, now_s=0),
            ],
            {"vision": True, "action": True},
        ),
        ([wire.BusPing()], {}),
        ([wire.Event("wake", {"module": "vision", "enabled": False})], {}),
        ([wire.Event("module_status_changed", {"module": "vision"})], {}),
        ([wire.status_changed("audio", enabled=False, now_s=0)], {}),
    ],
    ids=["last", "ping", "wake", "half", "audio"],
)
def test_a_session_remembers_the_last_status_of_each_other_module(notes, modules):
    session = BusSession(Mailbox(1), None, Timing(), lambda _by: None, "ear")
    for note in notes:
        session.note(note)
    assert session.modules == modules
