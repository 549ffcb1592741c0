"""The ear among servers that share no code with it: made of other libraries, after our pages."""

from urllib.parse import urlsplit

import numpy as np
import pytest

from fakes.ear import PASSWORD
from fakes.ear import ear as ear_at
from fakes.proxy import Proxy
from fakes.voice_script import SPEECH, TRANSCRIPT
from fakes.voice_server import VOICES, Switches, wait_until
from fakes.wire_cases import WITH_SPEECH, on
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import LinkDown, LinkUp, ReplyAudio, Transcribed, Verdict

pytestmark = pytest.mark.usefixtures("shortest_waits")

TOO_LARGE = 9_000_000  # bytes; the ear takes 8 MiB


@pytest.fixture
def stranger(wire):
    with VOICES[wire]() as server:
        yield server


@pytest.fixture
def proxy(stranger):
    with Proxy(urlsplit(stranger.url).port) as proxy:
        yield proxy


@pytest.fixture
def ear(wire, proxy):
    """An ear that has reached the stranger, and what it tells."""
    with ear_at(proxy.url, protocol=wire) as (client, told):
        assert client.connect()
        yield client, told


def voice(seed):
    """Something to say, of 0.6 s, with no silence at its ends."""
    return np.random.default_rng(seed).integers(1000, 9000, 9600, dtype="<i2").tobytes()


def spoken(told):
    return b"".join(
        decode_wav(each.audio, max_seconds=2).mono().tobytes() for each in told.all(ReplyAudio)
    )


def is_answered(ear, seed):
    client, told = ear
    return told.end_of(client.send_audio(voice(seed))).verdict is Verdict.DONE


@on(*WITH_SPEECH)
def test_connect(wire, stranger, ear):
    assert ear[0].state == "connected"
    assert stranger.joined == 1


@on(*WITH_SPEECH)
@pytest.mark.parametrize(("password", "state"), [("wrong", "auth_failed"), (PASSWORD, "connected")])
def test_refuse(wire, password, state):
    with VOICES[wire](Switches(asks=True)) as stranger:
        config = BackendOptions(url=stranger.url, password=password, protocol=wire)
        with BackendClient(config) as client:
            assert client.connect() == (state == "connected")
            assert client.state == state


@on(*WITH_SPEECH)
def test_round_trip(wire, stranger, ear):
    client, told = ear
    for seed in (1, 2):
        assert is_answered(ear, seed)
        assert told.wait(Transcribed, number=seed).text == TRANSCRIPT
        assert voice(seed) in stranger.heard[seed - 1]
    assert len(stranger.heard) == 2
    assert spoken(told) == SPEECH * 2 * (2 if wire == "socketio" else 1)
    assert client.counters()["messages_refused"] == 0
    assert stranger.joined == 1


@on(*WITH_SPEECH)
def test_interruption(wire, stranger, ear):
    client, told = ear
    stranger.hangs = True
    first = client.send_audio(voice(1))
    told.wait(ReplyAudio)
    client.abandon(first)
    assert told.end_of(first).verdict is Verdict.ABANDONED
    stranger.hangs = False
    assert is_answered(ear, 2)
    assert voice(2) in stranger.heard[-1]
    assert len(stranger.heard) == 2
    assert told.all(LinkDown) == []


@on(*WITH_SPEECH)
def test_abrupt_close(wire, stranger, ear, proxy):
    client, told = ear
    stranger.hangs = True
    first = client.send_audio(voice(1))
    told.wait(ReplyAudio)
    proxy.reset()
    assert told.end_of(first).verdict is Verdict.REPLY_LOST
    stranger.hangs = False
    assert is_answered(ear, 2)
    assert len(stranger.heard) == 2


@on(*WITH_SPEECH)
@pytest.mark.long
def test_reconnect(wire, stranger, ear, proxy):
    _, told = ear
    proxy.refuse()
    told.wait(LinkDown)
    proxy.accept()
    told.wait(LinkUp, number=2)
    assert is_answered(ear, 1)
    assert len(stranger.heard) == 1


@on(*WITH_SPEECH)
def test_garbage(wire, stranger, ear):
    client, told = ear
    for thing in stranger.garbage:
        stranger.throw(thing)
    wait_until(lambda: client.counters().get("messages_refused") == len(stranger.garbage))
    assert is_answered(ear, 1)
    assert told.all(LinkDown) == []


@on(*WITH_SPEECH)
def test_oversize(wire, stranger, ear):
    client, told = ear
    stranger.throw(stranger.too_large(TOO_LARGE))
    told.wait(LinkDown)
    assert is_answered(ear, 1)
    assert client.counters()["links_flooded"] == 0, "it was taken, and was too much afterwards"
    assert stranger.joined == 2
