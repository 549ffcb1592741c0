"""The ear at servers as their owners sketched them: no login, closes, a bare echo."""

import logging
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from fakes.ear import ear
from fakes.socketio_voice import SocketIoVoice
from fakes.voice_script import SPEECH, Word
from fakes.voice_server import wait_until
from fakes.voice_service import Switches
from fakes.websocket_voice import WAV, RealtimeVoice, SessionVoice, event
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import LinkDown, ReplyAudio, Verdict
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.link import registry
from jarvis_ear.link.registry import QUIET_S

pytestmark = pytest.mark.usefixtures("shortest_waits")

VOICE = np.random.default_rng(1).integers(1000, 9000, 9600, dtype="<i2").tobytes()
"""Something to say, of 0.6 s."""


SKETCH = Switches(has_login=False, asks=False, reply="answer", closes=True)


class Sketch(RealtimeVoice):
    """A realtime server that says "wav", after its state, and leaves after each turn."""

    frames: ClassVar = {
        **RealtimeVoice.frames,
        Word.PROCESSING: [event("status", state="responding")],
        Word.SPEECH: [event("audio", format="wav", size=len(WAV)), WAV],
        Word.TRANSCRIPT: [event("transcript", text="what time is it", is_final=True)],
        Word.REPLY: [event("response", text="Late.")],
    }


@pytest.mark.parametrize("make", [Sketch, SocketIoVoice])
def test_a_server_without_a_login_is_used_without_one(make):
    wire = "realtime" if make is Sketch else "socketio"
    with make(replace(SKETCH, closes=make is Sketch)) as server:
        with ear(server.url, protocol=wire) as (client, told):
            assert client.connect(), client.state
            assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.DONE
        assert server.posts == ["/api/auth/login"]
    spoken = told.all(ReplyAudio)
    assert {each.content_type for each in spoken} == {"audio/wav"}
    sound = decode_wav(spoken[0].audio, max_seconds=2).mono().tobytes()
    assert sound == SPEECH


@pytest.mark.parametrize("token", ["canary-first-1", "another", None])
def test_a_token_of_the_owner_is_what_it_is_shown(token, caplog):
    is_good = token == "canary-first-1"
    given = {"token": token} if token else {}
    with Sketch(replace(SKETCH, asks=True)) as server:
        config = BackendOptions(url=server.url, protocol="realtime", **given)
        with BackendClient(config) as client:
            assert client.connect() == is_good
            assert client.state == ("connected" if is_good else "auth_failed")
    assert not token or server.posts == [], "the password goes nowhere"
    assert ("set backend.token" in caplog.text) == (not token)


def test_a_server_that_closes_politely_after_each_turn_is_no_fault(caplog):
    caplog.set_level(logging.INFO)
    with Sketch(SKETCH) as server, ear(server.url, protocol="realtime") as (client, told):
        assert client.connect()
        for turn in (1, 2, 3):
            assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.DONE
            wait_until(lambda turn=turn: server.joined == turn + 1 and client.connected)
    assert told.all(LinkDown) == []
    said = [record.getMessage() for record in caplog.records if "jarvis" in record.name]
    assert said == [f"backend reached at {server.url}"], "once"
    assert server.posts == ["/api/auth/login"]


def test_a_server_that_closes_before_the_turn_is_over_is_a_fault(caplog):
    silent = Sketch(replace(SKETCH, reply="silent"))
    with silent as server, ear(server.url, protocol="realtime") as (client, told):
        assert client.connect()
        assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.REPLY_LOST
        told.wait(LinkDown)
    assert "backend not usable: the backend closed the link" in caplog.text


class BareEcho(SessionVoice):
    """A session stream as its owner sketched it: every frame comes back, and nothing else."""

    def post(self, _path, _asked, _token):
        return 404, {"detail": "Not Found"}

    def hear(self, line, frame):
        line.send(frame)


class Silent(BareEcho):
    def hear(self, line, frame):
        """Take it."""


@pytest.mark.parametrize(("server", "quiet_s"), [(BareEcho, QUIET_S), (Silent, 0.3)])
def test_a_session_that_never_says_a_status_is_used_all_the_same(
    server, quiet_s, caplog, monkeypatch
):
    monkeypatch.setattr(registry, "QUIET_S", quiet_s)
    with server() as running:
        config = BackendOptions(url=running.url, protocol="session")
        with caplog.at_level(logging.INFO), BackendClient(config) as client:
            began = time.monotonic()
            assert client.connect()
            assert quiet_s - 0.1 < time.monotonic() - began < quiet_s + 2.0
    said = [record.getMessage() for record in caplog.records if "jarvis" in record.name]
    not_said = f"it has not said for {quiet_s:g} s whether it is ready"
    assert said == [f"backend reached at {config.url}; {not_said}"]


def test_a_turn_with_a_bare_echo_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(registry, "QUIET_S", 0.3)
    options = {"timing": Timing(ping_s=0.3), "protocol": "session"}
    with BareEcho() as server, ear(server.url, **options) as (client, told):
        assert client.connect()
        for _ in range(2):
            assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.DONE
        assert told.all(ReplyAudio)
    assert server.joined == 1
