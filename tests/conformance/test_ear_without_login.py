"""The ear at servers as their owners sketched them: no login, closes, a bare echo."""

import logging
import time

import numpy as np
import pytest
from aiohttp import web
from pydantic import SecretStr
from websockets.sync.server import ServerConnection

from fakes.socketio_stranger import SocketIoStranger
from fakes.stranger import SPEECH, RealtimeStranger, WebSocketStranger, _event, wav
from fakes.told import Told
from fakes.voice_server import wait_until
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


class Sketch(RealtimeStranger):
    """A realtime server without a login, which says "wav" and leaves after each turn."""

    by_subprotocol = False
    closes = True

    def post(self, path, _asked, _token):
        self.posts.append(path)
        return 404, {"detail": "Not Found"}

    def __init__(self, *, asks=False):
        super().__init__(asks=asks)
        self.posts = []

    def _answer(self, line: ServerConnection) -> None:
        _event(line, "status", state="responding")
        _event(line, "transcript", text="what time is it", is_final=True)
        _event(line, "response", text="Late.")
        file = wav(SPEECH)
        _event(line, "audio", format="wav", size=len(file))
        line.send(file)
        _event(line, "status", state="idle")
        if self.closes:
            line.close()


class Guarded(Sketch):
    """One that has no login either, and wants a token that its owner gave out."""

    by_subprotocol = True


def test_a_server_without_a_login_is_used_without_one():
    told = Told()
    with Sketch() as server:
        config = BackendOptions(url=server.url, protocol="realtime")
        with BackendClient(config, on_event=told) as client:
            assert client.connect(), client.state
            assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.DONE
    (spoken,) = told.all(ReplyAudio)
    assert spoken.content_type == "audio/wav"
    assert decode_wav(spoken.audio, max_seconds=2).mono().tobytes() == SPEECH
    assert server.posts == ["/api/auth/login"]


@pytest.mark.parametrize("token", ["a-token-of-its-own", "another"])
def test_a_token_of_the_owner_is_what_it_is_shown(token):
    with Guarded() as server:
        config = BackendOptions(url=server.url, protocol="realtime", token=SecretStr(token))
        with BackendClient(config) as client:
            assert client.connect() == (token == "a-token-of-its-own")
            assert client.state == ("connected" if client.connected else "auth_failed")
    assert server.posts == [], "the password goes nowhere"


def test_a_server_that_wants_a_token_and_gives_none_is_told_with_the_remedy(caplog):
    with Guarded() as server:
        config = BackendOptions(url=server.url, protocol="realtime")
        with BackendClient(config) as client:
            assert not client.connect()
            assert client.state == "auth_failed"
    assert "set backend.token" in caplog.text


class OpenSocketIo(SocketIoStranger):
    """The owner's wire without a login: everybody may come in."""

    async def _login(self, _request):
        raise web.HTTPNotFound

    async def _connect(self, sid, _environ, _auth):
        self.joined += 1
        await self._say(sid, "listening")


def test_jarvis_voice_without_a_login_is_used_without_one_too():
    told = Told()
    with (
        OpenSocketIo() as server,
        BackendClient(BackendOptions(url=server.url), on_event=told) as client,
    ):
        assert client.connect(), client.state
        assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.DONE


def test_a_server_that_leaves_politely_after_each_turn_is_no_fault(caplog):
    told = Told()
    with Sketch() as server:
        config = BackendOptions(url=server.url, protocol="realtime")
        with caplog.at_level(logging.INFO), BackendClient(config, on_event=told) as client:
            assert client.connect()
            for turn in (1, 2, 3):
                assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.DONE
                wait_until(lambda turn=turn: server.joined == turn + 1 and client.connected)
    assert told.all(LinkDown) == []
    said = [record.getMessage() for record in caplog.records if "jarvis" in record.name]
    assert said == [f"backend reached at {config.url}"], "once"
    assert server.posts == ["/api/auth/login"]


def test_one_that_leaves_before_the_turn_is_over_is_a_fault(caplog):
    class Rude(Sketch):
        def _answer(self, line):
            _event(line, "status", state="transcribing")
            line.close()

    told = Told()
    with Rude() as server:
        config = BackendOptions(url=server.url, protocol="realtime")
        with BackendClient(config, on_event=told) as client:
            assert client.connect()
            assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.REPLY_LOST
            told.wait(LinkDown)
    assert "backend not usable: the backend closed the link" in caplog.text


class BareEcho(WebSocketStranger):
    """A session stream as its owner sketched it: every frame comes back, and nothing else."""

    path = "/ws/sessions/one"
    garbage = ()

    def post(self, _path, _asked, _token):
        return 404, {"detail": "Not Found"}

    def greet(self, line):
        """Say nothing, now and ever."""

    def hear(self, line, frame, _sound):
        line.send(frame)


class Silent(BareEcho):
    """One that says nothing at all."""

    def hear(self, line, frame, sound):
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
    told = Told()
    timing = Timing(ping_s=0.3)
    with BareEcho() as server:
        config = BackendOptions(url=server.url, protocol="session")
        with BackendClient(config, on_event=told, timing=timing) as client:
            assert client.connect()
            for _ in range(2):
                assert told.end_of(client.send_audio(VOICE)).verdict is Verdict.DONE
            assert told.all(ReplyAudio)
    assert server.joined == 1
