"""The ear finds its backend again, whatever happened to it."""

import logging
import socket
import threading
import time
from pathlib import Path

import pytest

from fakes.ear import ear
from fakes.told import Told
from fakes.voice_server import Switches, VoiceServer, free_port, wait_until
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import Finished, LinkDown, LinkUp, ProcessingStarted, Verdict
from jarvis_ear.delivery.timeouts import Timing

pytestmark = pytest.mark.long  # back-off and time-outs at their real length

REACHED_S = 6.0
"""The longest way back, counted from when the backend can be reached."""

SECOND = bytes(32_000)
IMPATIENT = Timing(ping_s=0.2, dead_s=0.6)


def test_a_backend_that_comes_up_later(tmp_path, caplog):
    server = VoiceServer(tmp_path)
    caplog.set_level(logging.DEBUG, logger="jarvis_ear")
    with ear(server.url) as (client, told):
        assert not client.connect()
        told.wait(LinkDown)
        wait_until(lambda: warnings_and_repeats(caplog)[1])
        with server:
            up = told.wait(LinkUp, within_s=REACHED_S)
            assert client.connected
            assert up == LinkUp(server.url, None)
            assert len(told.all(LinkDown)) == 1
    warnings, repeats = warnings_and_repeats(caplog)
    assert len(warnings) == 1
    assert f"connection refused ({server.url})" in warnings[0].getMessage()
    assert len(repeats) >= 1


@pytest.mark.parametrize("protocol", ["socketio", "voice-ws", "session", "realtime"])
def test_a_host_that_nobody_knows_is_called_so_with_its_address(protocol, caplog, monkeypatch):
    def unknown(*_where, **_how):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    caplog.set_level(logging.DEBUG)
    told = Told()
    url = "https://nobody.invalid:4000"
    with BackendClient(BackendOptions(url=url, protocol=protocol), on_event=told):
        told.wait(LinkDown)
    warnings, _ = warnings_and_repeats(caplog)
    assert f"unknown host ({url})" in warnings[0].getMessage()


def warnings_and_repeats(caplog):
    said = [each for each in caplog.records if "not usable" in each.getMessage()]
    warnings = [each for each in said if each.levelno == logging.WARNING]
    return warnings, [each for each in said if each.levelno == logging.DEBUG]


def test_a_backend_that_is_killed_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)  # the shortest waits
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        assert client.connect()
        for number in (1, 2, 3):
            server.kill()
            told.wait(LinkDown, number=number)
            assert not client.connected
            server.start()
            assert told.wait(LinkUp, number=number + 1, within_s=REACHED_S).after_s > 0
        assert len(server.received("login")) == 1, "the token is still good"


def test_a_backend_that_kicks_us(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)  # the shortest waits
    caplog.set_level(logging.DEBUG, logger="jarvis_ear")
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        assert client.connect()
        for number in (1, 2):
            server.kick()
            told.wait(LinkUp, number=number + 1, within_s=REACHED_S)
    levels = [each.levelname for each in caplog.records if each.levelno > logging.DEBUG]
    assert levels == ["INFO", "WARNING", "INFO"]


def test_a_backend_that_takes_three_seconds_to_authenticate(tmp_path, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 1.0)  # the longest waits
    server = VoiceServer(tmp_path, Switches(auth_delay_s=3.0))
    with ear(server.url) as (client, told):
        client.start()
        told.wait(LinkDown)
        with server:
            told.wait(LinkUp, within_s=REACHED_S)


def test_a_backend_that_forgot_our_token(tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        assert client.connect()
        server.kill()
        server.start(secret="second")
        told.wait(LinkUp, number=2, within_s=REACHED_S)
        assert [each["good"] for each in server.received("connect")] == [True, False, True]
        assert len(server.received("login")) == 2


def test_a_backend_that_refuses_the_token_it_gave(tmp_path):
    """Not a wrong password: it may be in the middle of a restart."""
    with (
        VoiceServer(tmp_path, Switches(auth_delay_s=0.5)) as server,
        ear(server.url) as (client, told),
    ):
        client.start()
        wait_until(lambda: server.received("login"))
        server.kill()
        server.start(secret="second", auth_delay_s=0.0)
        told.wait(LinkUp, within_s=REACHED_S)


def test_an_idle_link_is_not_taken_for_dead(tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url, IMPATIENT) as (client, told):
        assert client.connect()
        wait_until(lambda: told.events)
        with pytest.raises(AssertionError, match="no LinkDown"):
            told.wait(LinkDown, within_s=1.5)


def test_a_wrong_password_is_a_state_of_its_own_is_said_once_and_not_hammered(tmp_path, caplog):
    with (
        VoiceServer(tmp_path, Switches(password="changed")) as server,
        ear(server.url) as (client, told),
    ):
        assert not client.connect()
        down = told.wait(LinkDown)
        assert down.reason == "the backend does not accept the password"
        assert client.state == "auth_failed"
        assert not client.connected
        with pytest.raises(AssertionError, match="no LinkUp"):
            told.wait(LinkUp, within_s=1.5)
        assert len(server.received("login")) == 1
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_nothing_listens():
    with ear(f"http://127.0.0.1:{free_port()}") as (client, _):
        before = time.monotonic()
        assert client.connect() is False
        assert time.monotonic() - before < 2.0


@pytest.fixture
def mute():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_never_answers(mute):
    with ear(mute, connect_s=0.5) as (client, told):
        before = time.monotonic()
        assert client.connect() is False
        assert 0.4 < time.monotonic() - before < 2.0
        told.wait(LinkDown)
        wait_until(lambda: len(threads("jarvis-ear-login")) == 0)


def test_a_stop_in_the_middle_of_a_login(mute):
    with ear(mute) as (client, _):
        client.start()
        wait_until(lambda: threads("jarvis-ear-login"))
        before = time.monotonic()
        client.disconnect()
        assert time.monotonic() - before < 1.0
        assert set(threads()) <= {"jarvis-ear-login"}  # it ends with its own time-out


def threads(prefix="jarvis-ear"):
    return [each.name for each in threading.enumerate() if each.name.startswith(prefix)]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_thirty_links_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)  # the shortest waits
    with (
        VoiceServer(tmp_path, Switches(reply="silent")) as server,
        ear(server.url) as (client, told),
    ):
        assert client.connect()
        replace_link(client, told, server)
        had_threads, had_files = threads(), open_files()
        for _ in range(26):
            replace_link(client, told, server)
        for number in range(4):
            server.kick()
            told.wait(LinkUp, number=number + 2)
        replace_link(client, told, server)
        assert len(server.received("connect")) >= 32
        wait_until(lambda: threads() == had_threads)
        wait_until(lambda: open_files() <= had_files)
    assert threads() == []


def replace_link(client, told, server):
    had = len(server.received("connect"))
    turn_id = client.send_audio(SECOND)
    told.wait(ProcessingStarted, that=lambda event: event.turn_id == turn_id)
    client.abandon(turn_id)
    assert told.end_of(turn_id).verdict is Verdict.ABANDONED
    wait_until(lambda: len(server.received("connect")) > had and client.connected)


def test_it_can_be_started_and_stopped_again_and_again(tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        client.disconnect()
        for _ in range(3):
            assert client.connect()
            client.start()
            assert threads() == ["jarvis-ear-network"]
            client.disconnect()
            client.disconnect()
            assert client.state == "disconnected"
            assert not client.connected
            assert threads() == []
        assert told.all(Finished) == []
        assert told.threads == {"jarvis-ear-network"}


def test_stopping_does_not_wait_for_a_stopped_backend(tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        assert client.connect()
        server.pause()
        turn_ids = [client.send_audio(bytes(1_000_000)) for _ in range(3)]
        before = time.monotonic()
        client.disconnect()
        assert time.monotonic() - before < 2.0
        assert threads() == []
        ends = [told.end_of(turn_id, within_s=0.0) for turn_id in turn_ids]
        assert {(end.verdict, end.code) for end in ends} == {(Verdict.FAILED, "stopping")}
