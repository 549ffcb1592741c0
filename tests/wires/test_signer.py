"""The seal signs, and believes each signed message once."""

import pytest

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import event_bus as module
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import MessageSigner

KEY = b"k" * 32


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_without_a_key_nothing_is_signed_and_everything_believed(clock):
    seal = MessageSigner(None, clock)
    assert seal.write({"type": "ping"}) == '{"type":"ping"}'
    seal.check({"type": "ping"})


def test_what_one_side_signs_the_other_believes_once(clock):
    payload = wire.read(MessageSigner(KEY, clock).write({"type": "ping"}))
    seal = MessageSigner(KEY, clock)
    seal.check(payload)
    with pytest.raises(RemoteProtocolError, match="Repeated"):
        seal.check(payload)


def test_another_key_is_not_believed(clock):
    payload = wire.read(MessageSigner(b"j" * 32, clock).write({"type": "ping"}))
    with pytest.raises(RemoteProtocolError, match="Invalid signature"):
        MessageSigner(KEY, clock).check(payload)


def test_signatures_are_forgotten_when_they_are_stale(clock, monkeypatch):
    monkeypatch.setattr(module, "SEEN_LETTERS", 1)
    seal = MessageSigner(KEY, clock)
    seal.check(wire.sign({"type": "a"}, KEY, clock.now))
    with pytest.raises(RemoteProtocolError, match="Repeated"):
        seal.check(wire.sign({"type": "b"}, KEY, clock.now))
    clock.now += 61
    seal.check(wire.sign({"type": "b"}, KEY, clock.now))
