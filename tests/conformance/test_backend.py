"""The backend's half of the suite: every wire, over real sockets, by independent clients."""

import time
from contextlib import closing

import numpy as np
import pytest

from fakes.wire_cases import CASES
from fakes.wire_clients import (
    ALL,
    WITH_SPEECH,
    BusClient,
    Gone,
    Refused,
    SessionClient,
    Word,
)

every_wire = pytest.mark.parametrize("wire", ALL, ids=lambda wire: wire.name)
every_wire_with_speech = pytest.mark.parametrize("wire", WITH_SPEECH, ids=lambda wire: wire.name)

QUARTER_S = 8000  # bytes
LONG = 10 * 32_000  # bytes of the answer to what is loud


def is_answer_to_soft(sound):
    return set(np.frombuffer(sound, "<i2").tolist()) == {7}


def test_every_case_is_here():
    assert [case for case in CASES if f"test_{case}" not in globals()] == []


@every_wire
def test_connect(bench, wire):
    with wire(bench.url) as client:
        client.fence()


@every_wire
@pytest.mark.parametrize("shown", [{"token": "bad"}, {"origin": "https://evil.example"}])
def test_refuse(bench, wire, shown):
    with pytest.raises(Refused):
        wire(bench.url, **shown).open()
    with wire(bench.url) as client:
        client.fence()


def test_refuse_an_unknown_session(bench):
    client = SessionClient(bench.url)
    client.path = "/ws/sessions/nobody"
    with client, pytest.raises(Gone):
        client.hear()


@every_wire_with_speech
def test_round_trip(real_backend, speech, wire):
    with wire(real_backend) as client:
        client.utter(speech.tobytes())
        text, sound = client.answer(enough=QUARTER_S)
    assert text == "what time is it"
    loudness = np.sqrt(np.mean(np.frombuffer(sound, "<i2").astype(float) ** 2))
    assert loudness > 100, "nobody could hear that"


def test_round_trip_of_an_event(bench):
    with BusClient(bench.url) as one, BusClient(bench.url) as two:
        two.fence()  # it is in
        one.utter(b"")
        assert one.hear() == two.hear() == Word("probe")


@every_wire_with_speech
def test_interruption(bench, wire):
    with wire(bench.url) as client:
        client.utter(bench.loud)
        text, first = client.answer()
        assert text == "loud"
        client.interrupt()
        client.utter(bench.soft)
        text, second = client.answer()
    assert text == "soft"
    assert is_answer_to_soft(second)
    assert wire.name in {"socketio", "realtime"} or len(first) < LONG / 4


@every_wire
def test_abrupt_close(bench, wire):
    for _ in range(5):  # two more than may be connected at once: their places are given back
        client = bench.join(wire)
        client.utter(bench.loud)
        client.drop()
    with closing(bench.join(wire)) as client:
        client.fence()


@every_wire_with_speech
def test_half_utterance(bench, wire):
    client = bench.join(wire)
    heard = len(bench.ear.heard)
    client.begin(bench.loud[: len(bench.loud) // 4 * 2])
    client.drop()
    with closing(bench.join(wire)) as another:
        another.utter(bench.soft)
        assert another.answer()[0] == "soft"
    assert len(bench.ear.heard) == heard + 1


@every_wire
def test_oversize(bench, wire):
    with closing(bench.join(wire)) as neighbour:
        client = bench.join(wire)
        client.oversize(70_000)
        client.wait_for_the_end()
        neighbour.fence()


@every_wire
def test_garbage(bench, wire):
    with closing(bench.join(wire)) as client:
        for thing in wire.garbage:
            client.throw(thing)
        client.fence()
        client.utter(bench.soft)
        if wire is not BusClient:
            assert client.answer()[0] == "soft"


@every_wire_with_speech
def test_slow_reader(bench, wire):
    slow = bench.join(wire)
    slow.utter(bench.loud)  # and hears nothing of the answer
    with closing(bench.join(wire)) as quick:
        began = time.monotonic()
        quick.utter(bench.soft)
        assert quick.answer()[0] == "soft"
        assert time.monotonic() - began < 3
    slow.drop()


@every_wire
def test_reconnect(bench, wire):
    with closing(bench.join(wire)) as client:
        client.utter(bench.loud)
        client.fence()
    with closing(bench.join(wire)) as client:
        if wire is BusClient:
            client.fence()
            return
        client.utter(bench.soft)
        text, sound = client.answer()
        assert text == "soft"
        assert is_answer_to_soft(sound)
