"""The event bus: its codec, signatures, and orders to the microphone."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.clock import FakeClock
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.json_fields import write_object

KEY = b"k" * 32
NOW = 1_700_000_000.0
STAMP = "2023-11-14T22:13:20.000+00:00"


def status_changed(module, *, enabled):
    return wire.status_changed(module, enabled=enabled, now_s=NOW)


def test_the_messages_of_the_bus():
    assert wire.read(write_object({"type": "x"})) == {"type": "x"}
    assert wire.decode({"type": "ping"}) == wire.BusPing()
    assert wire.ping() == {"type": "ping"}
    assert wire.pong(NOW) == {"type": "pong", "timestamp": STAMP}
    control = {"type": "module_control", "module": "vision", "enabled": True}
    assert wire.decode(control) == wire.ModuleControl("vision", enabled=True)
    order = wire.ModuleControl("vision", enabled=False)
    assert wire.decode(wire.encode(order)) == order
    assert wire.encode(status_changed("vision", enabled=True)) == {
        "type": "module_status_changed",
        "data": {"module": "vision", "enabled": True},
        "timestamp": STAMP,
    }


def test_anything_else_is_an_event_with_all_its_fields():
    payload = {"type": "pet_state_changed", "data": {"mood": 3}, "timestamp": "now"}
    event = wire.Event("pet_state_changed", {"mood": 3}, "now")
    assert wire.decode(payload) == event
    assert wire.decode({"type": "x", "timestamp": 7}) == wire.Event("x")
    payload |= {"id": 7, "sentAt": "then"}
    event = wire.decode(payload)
    assert event == wire.Event(event.type, {"mood": 3}, "now", {"id": 7, "sentAt": "then"})
    assert wire.encode(event) == payload


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"type": 7},
        {"type": ""},
        {"type": "x", "data": []},
        {"type": "module_control"},
        {"type": "module_control", "module": "vision", "enabled": 1},
        {"type": "module_control", "module": "smell", "enabled": True},
    ],
)
def test_an_invalid_message_is_refused(payload):
    with pytest.raises(RemoteProtocolError):
        wire.decode(payload)
    with pytest.raises(wire.NotJson):
        wire.read("{")


MINE = wire.announced("kitchen", enabled=False, by=("bus", "owner"), now_s=NOW)


def changed(data):
    return wire.Event("module_status_changed", data)


@pytest.mark.parametrize(
    ("message", "status", "order"),
    [
        (status_changed("audio", enabled=True), ("audio", True), True),
        (changed({"module": "audio", "enabled": False}), ("audio", False), False),
        (status_changed("vision", enabled=False), ("vision", False), None),
        (changed({"module": "smell", "enabled": False}), None, None),
        (changed({"module": "audio", "enabled": 1}), None, None),
        (changed({}), None, None),
        (wire.Event("module_status_changed"), None, None),
        (wire.Event("other", {"module": "audio", "enabled": False}), None, None),
        (MINE, ("audio", False), None),
    ],
)
def test_an_event_may_be_a_status_and_an_order_to_the_microphones(message, status, order):
    assert wire.module_status(message) == status
    assert wire.microphone_order(message) is order


@pytest.mark.parametrize(
    ("message", "order"),
    [
        (wire.BusPing(), None),
        (wire.ModuleControl("vision", enabled=False), None),
        (wire.ModuleControl("audio", enabled=True), True),
        (wire.ModuleControl("audio", enabled=False), False),
    ],
)
def test_an_order_to_the_microphones_names_their_module(message, order):
    assert wire.microphone_order(message) is order


def test_the_announcement_of_an_ear_switches_no_module():
    assert MINE.data == {
        "module": "audio",
        "enabled": False,
        "agentId": "kitchen",
        "mutedBy": ["bus", "owner"],
    }
    assert wire.module_switched(MINE) is None
    assert wire.module_switched(status_changed("audio", enabled=True)) == ("audio", True)


def test_a_forwarded_event_is_signed_anew():
    first = wire.sign({"type": "x", "id": 7}, KEY, NOW)
    again = wire.sign(wire.encode(wire.decode(first)), KEY, NOW + 20)
    assert wire.check(again, KEY, NOW + 45) == again["signature"] != first["signature"]
    assert again["id"] == 7


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()))
def test_a_signature_is_valid_for_30_s(payload):
    signed = wire.read(write_object(wire.sign(payload, KEY, NOW)))
    assert wire.check(signed, KEY, NOW + 30) == signed["signature"]
    for now in (NOW + 30.1, NOW - 30.1):
        with pytest.raises(RemoteProtocolError, match="Stale"):
            wire.check(signed, KEY, now)


SIGNED = wire.sign({"type": "x", "data": {"a": 1}}, KEY, NOW)


@pytest.mark.parametrize(
    ("payload", "key", "words"),
    [
        (SIGNED | {"data": {"a": 2}}, KEY, "Invalid signature"),
        (SIGNED | {"sentAt": wire.stamp(NOW + 1)}, KEY, "Invalid signature"),
        (SIGNED | {"signature": "\ud800"}, KEY, "Invalid signature"),
        (SIGNED, b"another", "Invalid signature"),
        ({"type": "x"}, KEY, "Unsigned"),
    ],
)
def test_a_changed_or_foreign_message_is_not_believed(payload, key, words):
    with pytest.raises(RemoteProtocolError, match=words):
        wire.check(payload, key, NOW)


@pytest.mark.parametrize("sent_at", [None, 7, "soon", "2023-11-14T22:13:20"])
def test_a_signature_needs_a_time_with_a_zone(sent_at):
    payload = {"type": "x", "sentAt": sent_at}
    with pytest.raises(RemoteProtocolError, match="Stale"):
        wire.check(payload | {"signature": wire._signature(payload, KEY)}, KEY, NOW)


@given(st.text())
def test_any_text_is_a_message_or_refused(text):
    with suppress(RemoteProtocolError):
        wire.decode(wire.read(text))


@given(st.text() | st.dictionaries(st.text(), st.text() | st.booleans()).map(write_object))
def test_nothing_but_an_order_is_an_order(text):
    with suppress(RemoteProtocolError):
        payload = wire.read(text)
        if wire.microphone_order(wire.decode(payload)) is not None:
            assert payload["type"] in {"module_control", "module_status_changed"}


@pytest.fixture
def clock():
    return FakeClock(NOW)


def test_without_a_key_nothing_is_signed_and_everything_believed(clock):
    signer = wire.MessageSigner(None, clock.monotonic)
    assert signer.write({"type": "ping"}) == '{"type":"ping"}'
    signer.check({"type": "ping"})


def test_a_message_is_believed_once_and_only_with_its_key(clock):
    payload = wire.read(wire.MessageSigner(KEY, clock.monotonic).write({"type": "ping"}))
    with pytest.raises(RemoteProtocolError, match="Invalid signature"):
        wire.MessageSigner(b"j" * 32, clock.monotonic).check(payload)
    signer = wire.MessageSigner(KEY, clock.monotonic)
    signer.check(payload)
    with pytest.raises(RemoteProtocolError, match="Repeated"):
        signer.check(payload)


def test_signatures_are_forgotten_when_they_are_stale(clock, monkeypatch):
    monkeypatch.setattr(wire, "MAX_SEEN", 1)
    signer = wire.MessageSigner(KEY, clock.monotonic)
    signer.check(wire.sign({"type": "a"}, KEY, clock.now))
    with pytest.raises(RemoteProtocolError, match="Repeated"):
        signer.check(wire.sign({"type": "b"}, KEY, clock.now))
    clock.now += 61
    signer.check(wire.sign({"type": "b"}, KEY, clock.now))
