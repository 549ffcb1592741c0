"""The backend's half of the suite: every wire, over real sockets, by independent clients."""

import time
from contextlib import closing

import numpy as np
import pytest

from fakes.wire_cases import ALL, BUS, WITH_SPEECH, on
from fakes.wire_clients import CLIENTS, BusClient, Gone, Refused, SessionClient, Sound, Word

QUARTER_S = 8000  # bytes
LONG = 10 * 32_000  # bytes of the answer to what is loud


def is_answer_to_soft(sound):
    return set(np.frombuffer(sound, "<i2").tolist()) == {7}


@pytest.fixture
def client_of(wire):
    return CLIENTS[wire]


@on(*ALL)
def test_connect(bench, wire, client_of):
    with client_of(bench.url) as client:
        client.fence()


@on(*ALL)
@pytest.mark.parametrize("shown", [{"token": "bad"}, {"origin": "https://evil.example"}])
def test_refuse(bench, wire, client_of, shown):
    with pytest.raises(Refused):
        client_of(bench.url, **shown).open()
    with client_of(bench.url) as client:
        client.fence()


@on("session")
def test_refuse_an_unknown_session(bench, wire):
    client = SessionClient(bench.url)
    client.path = "/ws/sessions/no.body"  # what is no name cannot be one of the client's own
    with client, pytest.raises(Gone):
        client.hear()


@on("session")
def test_an_echo_under_a_name_of_the_client(bench, wire):
    client = SessionClient(bench.url)
    client.path = "/ws/sessions/my-own"
    frame = b"\x01\x02" * 320
    for _ in range(2):
        with client:
            client.begin(frame)
            assert client.hear() == Sound(frame)


@on(*WITH_SPEECH)
def test_round_trip(real_backend, speech, wire, client_of):
    with client_of(real_backend) as client:
        client.utter(speech.tobytes())
        text, sound = client.answer(enough=QUARTER_S)
    assert text == "what time is it"
    loudness = np.sqrt(np.mean(np.frombuffer(sound, "<i2").astype(float) ** 2))
    assert loudness > 100, "too quiet to be heard"


@on(BUS)
def test_round_trip_of_an_event(bench, wire):
    with BusClient(bench.url) as one, BusClient(bench.url) as two:
        two.fence()  # it is in
        one.utter(b"")
        assert one.hear() == two.hear() == Word("probe")


@on(*WITH_SPEECH)
def test_interruption(bench, wire, client_of):
    with client_of(bench.url) as client:
        client.utter(bench.loud)
        text, first = client.answer()
        assert text == "loud"
        client.interrupt()
        client.utter(bench.soft)
        text, second = client.answer()
    assert text == "soft"
    assert is_answer_to_soft(second)
    assert wire in {"socketio", "realtime"} or len(first) < LONG / 4


@on(*ALL)
def test_abrupt_close(bench, wire, client_of):
    for _ in range(5):  # two more than may be connected at once: their places are given back
        client = bench.join(client_of)
        client.utter(bench.loud)
        client.drop()
    with closing(bench.join(client_of)) as client:
        client.fence()


@on(*WITH_SPEECH)
def test_half_utterance(bench, wire, client_of):
    client = bench.join(client_of)
    heard = len(bench.ear.heard)
    client.begin(bench.loud[: len(bench.loud) // 4 * 2])
    client.drop()
    with closing(bench.join(client_of)) as another:
        another.utter(bench.soft)
        assert another.answer()[0] == "soft"
    assert len(bench.ear.heard) == heard + 1


@on(*ALL)
def test_oversize(bench, wire, client_of):
    with closing(bench.join(client_of)) as neighbour:
        client = bench.join(client_of)
        client.oversize(70_000)
        client.wait_for_the_end()
        neighbour.fence()


@on(*ALL)
def test_garbage(bench, wire, client_of):
    with closing(bench.join(client_of)) as client:
        for thing in client_of.garbage:
            client.throw(thing)
        client.fence()
        client.utter(bench.soft)
        if wire != BUS:
            assert client.answer()[0] == "soft"


@on(*WITH_SPEECH)
def test_slow_reader(bench, wire, client_of):
    slow = bench.join(client_of)
    slow.utter(bench.loud)  # and hears nothing of the answer
    with closing(bench.join(client_of)) as quick:
        began = time.monotonic()
        quick.utter(bench.soft)
        assert quick.answer()[0] == "soft"
        assert time.monotonic() - began < 3
    slow.drop()


@on(BUS)
def test_slow_reader_of_events(bench, wire, client_of):
    with closing(bench.join(client_of)) as slow, closing(bench.join(client_of)) as quick:
        slow.fence()  # and hears nothing from now on
        began = time.monotonic()
        for _ in range(100):  # more than any kernel keeps for it
            quick.say(type="probe", data={"much": "A" * 60_000})
            assert quick.hear() == Word("probe")
        assert time.monotonic() - began < 3


@on(*ALL)
def test_reconnect(bench, wire, client_of):
    with closing(bench.join(client_of)) as client:
        client.utter(bench.loud)
        client.fence()
    with closing(bench.join(client_of)) as client:
        if wire == BUS:
            client.fence()
            return
        client.utter(bench.soft)
        text, sound = client.answer()
        assert text == "soft"
        assert is_answer_to_soft(sound)
