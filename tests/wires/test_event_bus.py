"""The event bus: its codec, signatures, and orders to the microphone."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.json_fields import write_object

KEY = b"k" * 32
NOW = 1_700_000_000.0


def test_the_words_of_its_owner():
    assert wire.decode({"type": "ping"}) == wire.BusPing()
    control = {"type": "module_control", "module": "vision", "enabled": True}
    assert wire.decode(control) == wire.ModuleControl("vision", enabled=True)
    assert wire.encode(wire.status_changed("vision", enabled=True, now_s=NOW)) == {
        "type": "module_status_changed",
        "data": {"module": "vision", "enabled": True},
        "timestamp": "2023-11-14T22:13:20.000+00:00",
    }
    assert wire.pong(NOW) == {"type": "pong", "timestamp": "2023-11-14T22:13:20.000+00:00"}


def test_anything_else_is_an_event():
    event = wire.decode({"type": "pet_state_changed", "data": {"mood": 3}, "timestamp": "now"})
    assert event == wire.Event("pet_state_changed", {"mood": 3}, "now")
    assert wire.decode({"type": "x", "timestamp": 7}) == wire.Event("x")


def test_the_other_fields_of_an_event_are_kept():
    said = {"type": "pet_state_changed", "data": {}, "timestamp": "t", "id": 7, "sentAt": "then"}
    event = wire.decode(said)
    assert event == wire.Event("pet_state_changed", {}, "t", {"id": 7, "sentAt": "then"})
    assert wire.encode(event) == said


def test_what_is_forwarded_is_signed_anew():
    first = wire.sign({"type": "x", "id": 7}, KEY, NOW)
    again = wire.sign(wire.encode(wire.decode(first)), KEY, NOW + 20)
    assert wire.check(again, KEY, NOW + 45) == again["signature"] != first["signature"]
    assert again["id"] == 7


def test_an_announcement_of_an_ear_switches_no_module():
    mine = wire.announced("kitchen", enabled=True, by=(), now_s=NOW)
    assert wire.module_status(mine) == ("audio", True)
    assert wire.module_switched(mine) is None
    assert wire.module_switched(wire.status_changed("audio", enabled=True, now_s=NOW)) == (
        "audio",
        True,
    )


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
def test_what_makes_no_sense_is_refused(payload):
    with pytest.raises(RemoteProtocolError):
        wire.decode(payload)


def test_what_is_not_json_is_told_apart():
    with pytest.raises(wire.NotJson):
        wire.read("{")
    assert wire.read(write_object({"type": "x"})) == {"type": "x"}


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (
            wire.Event("module_status_changed", {"module": "audio", "enabled": False}),
            ("audio", False),
        ),
        (wire.Event("module_status_changed", {"module": "smell", "enabled": False}), None),
        (wire.Event("module_status_changed", {}), None),
        (wire.Event("other", {"module": "audio", "enabled": False}), None),
    ],
)
def test_a_status_is_recognised(event, status):
    assert wire.module_status(event) == status


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()))
def test_what_is_signed_is_believed_for_30_s(payload):
    signed = wire.read(write_object(wire.sign(payload, KEY, NOW)))
    assert wire.check(signed, KEY, NOW + 30) == signed["signature"]
    for now in (NOW + 30.1, NOW - 30.1):
        with pytest.raises(RemoteProtocolError, match="Stale"):
            wire.check(signed, KEY, now)


def test_what_is_changed_or_signed_by_another_is_not_believed():
    signed = wire.sign({"type": "x", "data": {"a": 1}}, KEY, NOW)
    for forged in (signed | {"data": {"a": 2}}, signed | {"sentAt": wire.stamp(NOW + 1)}):
        with pytest.raises(RemoteProtocolError, match="Invalid signature"):
            wire.check(forged, KEY, NOW)
    with pytest.raises(RemoteProtocolError, match="Invalid signature"):
        wire.check(signed, b"another", NOW)
    with pytest.raises(RemoteProtocolError, match="Invalid signature"):
        wire.check(signed | {"signature": "\ud800"}, KEY, NOW)
    with pytest.raises(RemoteProtocolError, match="Unsigned"):
        wire.check({"type": "x"}, KEY, NOW)


@pytest.mark.parametrize("sent_at", [None, 7, "soon", "2023-11-14T22:13:20"])
def test_a_signature_needs_a_time_with_a_zone(sent_at):
    payload = {"type": "x", "sentAt": sent_at}
    signed = payload | {"signature": wire._signature(payload, KEY)}
    with pytest.raises(RemoteProtocolError, match="Stale"):
        wire.check(signed, KEY, NOW)


@given(st.text())
def test_any_text_is_a_message_or_refused(text):
    with suppress(RemoteProtocolError):
        wire.decode(wire.read(text))


@pytest.mark.parametrize("enabled", [True, False])
def test_an_order_to_the_microphones(enabled):
    control = wire.ModuleControl("audio", enabled=enabled)
    assert wire.microphone_order(control) is enabled
    told = wire.status_changed("audio", enabled=enabled, now_s=NOW)
    assert wire.microphone_order(told) is enabled


@pytest.mark.parametrize(
    "message",
    [
        wire.BusPing(),
        wire.ModuleControl("vision", enabled=False),
        wire.status_changed("vision", enabled=False, now_s=NOW),
        wire.announced("kitchen", enabled=False, by=("owner",), now_s=NOW),
        wire.Event("wake", {"module": "audio", "enabled": True}),
        wire.Event("module_status_changed", {"module": "audio", "enabled": 1}),
        wire.Event("module_status_changed"),
    ],
)
def test_what_is_no_order_to_the_microphones(message):
    assert wire.microphone_order(message) is None


def test_what_switches_a_module_is_read_as_it_was_written():
    order = wire.ModuleControl("vision", enabled=False)
    assert wire.decode(wire.encode(order)) == order


def test_an_ear_announces_itself_in_the_words_of_the_bus():
    event = wire.announced("kitchen", enabled=False, by=("bus", "owner"), now_s=NOW)
    assert wire.module_status(event) == ("audio", False)
    assert event.data == {
        "module": "audio",
        "enabled": False,
        "agentId": "kitchen",
        "mutedBy": ["bus", "owner"],
    }
    assert wire.ping() == {"type": "ping"}


@given(st.text() | st.dictionaries(st.text(), st.text() | st.booleans()).map(write_object))
def test_nothing_but_an_order_is_an_order(text):
    with suppress(RemoteProtocolError):
        payload = wire.read(text)
        if wire.microphone_order(wire.decode(payload)) is not None:
            assert payload["type"] in {"module_control", "module_status_changed"}


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_without_a_key_nothing_is_signed_and_everything_believed(clock):
    signer = wire.MessageSigner(None, clock)
    assert signer.write({"type": "ping"}) == '{"type":"ping"}'
    signer.check({"type": "ping"})


def test_what_one_side_signs_the_other_believes_once(clock):
    payload = wire.read(wire.MessageSigner(KEY, clock).write({"type": "ping"}))
    signer = wire.MessageSigner(KEY, clock)
    signer.check(payload)
    with pytest.raises(RemoteProtocolError, match="Repeated"):
        signer.check(payload)


def test_another_key_is_not_believed(clock):
    payload = wire.read(wire.MessageSigner(b"j" * 32, clock).write({"type": "ping"}))
    with pytest.raises(RemoteProtocolError, match="Invalid signature"):
        wire.MessageSigner(KEY, clock).check(payload)


def test_signatures_are_forgotten_when_they_are_stale(clock, monkeypatch):
    monkeypatch.setattr(wire, "MAX_SEEN", 1)
    signer = wire.MessageSigner(KEY, clock)
    signer.check(wire.sign({"type": "a"}, KEY, clock.now))
    with pytest.raises(RemoteProtocolError, match="Repeated"):
        signer.check(wire.sign({"type": "b"}, KEY, clock.now))
    clock.now += 61
    signer.check(wire.sign({"type": "b"}, KEY, clock.now))
