"""Rows 1 to 4, 6, 7, 9 to 11 and 27 of the fault matrix: the way back to the backend."""

import errno
import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest

from fakes.blackhole import BlackHole, missing_rights
from fakes.ear import ear, timing
from fakes.hostile import HANDSHAKES, STATUSES, Hostile
from fakes.numbered import numbered
from fakes.proxy import Proxy
from fakes.voice_server import Switches, VoiceServer, wait_until
from jarvis_ear.delivery.events import LinkDown, LinkUp, Verdict

TELLING = {"accept_only", "close_before_open", "open_only", "junk_open", "status_302", "html_200"}
"""What a quick run contents itself with."""

REACHED_S = 6.0
"""The longest way back, counted from when the backend can be reached."""

DEAD_S = 15.0
"""The longest belief in a link that is dead."""

ATTEMPT_S = 5.5
"""The longest attempt."""

ROOTLESS = missing_rights()


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_row_02_backend_killed_again_and_again(times, tmp_path, shortest_waits):
    chance = random.Random(2)  # noqa: S311 - nothing here is a secret
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        assert client.connect()
        had_files, had_threads = open_files(), threading.active_count()
        for number in range(1, times + 1):
            server.kill()
            told.wait(LinkDown, number=number)
            assert not client.connected
            with pytest.raises(AssertionError, match="no LinkUp"):
                told.wait(LinkUp, number=number + 1, within_s=chance.uniform(0.0, 0.5))
            server.start()
            assert told.wait(LinkUp, number=number + 1, within_s=REACHED_S).after_s > 0
        wait_until(lambda: threading.active_count() == had_threads)
        wait_until(lambda: open_files() <= had_files)
        assert len(server.received("login")) == 1, "the token is still good"


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "how", ["terminate", pytest.param("kick", marks=pytest.mark.slow), "close"]
)
def test_row_03_backend_says_goodbye(how, tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        assert client.connect()
        if how == "terminate":
            server.terminate()
            server.start()
        else:
            server.control(how)
        told.wait(LinkUp, number=2, within_s=REACHED_S)


def test_row_03_connection_reset(tmp_path):
    with VoiceServer(tmp_path) as server, Proxy(server.port) as proxy, ear(proxy.url) as pair:
        client, told = pair
        assert client.connect()
        proxy.reset()
        told.wait(LinkDown)
        told.wait(LinkUp, number=2, within_s=REACHED_S)


def test_row_04_backend_stopped_while_idle(faster, tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url, timing(faster)) as (client, told):
        assert client.connect()
        wait_until(lambda: len(server.received("ping")) > 1)
        server.pause()
        assert "nothing received" in told.wait(LinkDown, within_s=DEAD_S / faster).reason
        server.resume()
        told.wait(LinkUp, number=2, within_s=REACHED_S)


@pytest.mark.parametrize("kind", ["namespace", pytest.param("proxy", marks=pytest.mark.slow)])
def test_row_06_black_hole_while_idle(kind, faster, tmp_path):
    with network(kind, tmp_path) as net, ear(net.url, timing(faster), **net.options) as pair:
        client, told = pair
        assert client.connect()
        wait_until(lambda: len(net.server.received("ping")) > 1)
        net.cut()
        told.wait(LinkDown, within_s=DEAD_S / faster)
        net.mend()
        told.wait(LinkUp, number=2, within_s=REACHED_S)


@pytest.mark.parametrize("kind", ["namespace", "proxy"])
def test_row_06_black_hole_during_an_upload(kind, faster, tmp_path):
    with network(kind, tmp_path) as net, ear(net.url, timing(faster), **net.options) as pair:
        client, told = pair
        assert client.connect()
        net.cut()
        turn_id = client.send_audio(numbered(1))
        wait_until(lambda: not client.connected, within_s=4.0 / faster)
        net.mend()
        assert told.end_of(turn_id, within_s=REACHED_S).verdict is Verdict.DONE
        assert net.server.numbers() == [1]


class network:  # noqa: N801 - used as a function
    """A server behind a network that can be cut: a namespace where root allows, else a proxy."""

    def __init__(self, kind, folder):
        if kind == "namespace" and ROOTLESS:
            pytest.skip(ROOTLESS)
        self._hole = BlackHole() if kind == "namespace" else None
        self.server = VoiceServer(folder, there=self._hole)
        self._wire = Proxy(self.server.port) if self._hole is None else self._hole
        self.options = {"connect_s": 2.0, "allow_plaintext": True}

    @property
    def url(self):
        return self.server.url if self._hole else self._wire.url

    def cut(self):
        (self._wire.cut if self._hole else self._wire.hold)()

    def mend(self):
        (self._wire.mend if self._hole else self._wire.release)()

    def __enter__(self):
        self._wire.__enter__()
        self.server.start()
        return self

    def __exit__(self, *failure):
        self.server.kill()
        self._wire.__exit__(*failure)


@pytest.mark.parametrize(
    "behaviour", ["accept_only", "close_before_open", "reset_at_once", *HANDSHAKES, *STATUSES]
)
def test_row_07_somebody_else_answers(behaviour, faster, tmp_path, shortest_waits):
    good = VoiceServer(tmp_path)
    with ear(good.url, timing(faster), connect_s=5.0 / faster) as (client, told):
        with Hostile(behaviour, good.port):
            client.start()
            told.wait(LinkDown, within_s=ATTEMPT_S / faster)
        with good:
            told.wait(LinkUp, within_s=REACHED_S)


@pytest.mark.parametrize("code", ["ECONNRESET", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH"])
def test_row_07_a_connection_that_dies_while_it_is_made(
    code, tmp_path, monkeypatch, shortest_waits
):
    connect = socket.socket.connect
    server = VoiceServer(tmp_path)
    with ear(server.url) as (client, told):
        with monkeypatch.context() as broken:
            broken.setattr(socket.socket, "connect", raising(getattr(errno, code)))
            client.start()
            told.wait(LinkDown, within_s=ATTEMPT_S)
        assert socket.socket.connect is connect
        with server:
            told.wait(LinkUp, within_s=REACHED_S)


def raising(code):
    def connect(_socket, _address):
        raise OSError(code, os.strerror(code))

    return connect


@pytest.mark.parametrize(
    "delay_s",
    [1.5, pytest.param(3.0, marks=pytest.mark.slow), pytest.param(4.0, marks=pytest.mark.slow)],
)
def test_row_11_slow_authentication(delay_s, tmp_path):
    server = VoiceServer(tmp_path, Switches(auth_delay_s=delay_s))
    with server, ear(server.url) as (client, _):
        began = time.monotonic()
        assert client.connect()
        assert delay_s < time.monotonic() - began < ATTEMPT_S


def test_row_27_the_name_has_no_address_and_then_another(tmp_path, monkeypatch, shortest_waits):
    book = AddressBook(monkeypatch)
    book.address = None
    server = VoiceServer(tmp_path)
    with server, ear(f"http://localhost:{server.port}") as (client, told):
        client.start()
        told.wait(LinkDown, within_s=ATTEMPT_S)
        book.address = "127.0.0.1"
        told.wait(LinkUp, within_s=REACHED_S)
        asked = book.asked
        book.address = "127.0.0.77"
        server.kill()
        moved = VoiceServer(tmp_path / "moved", host="127.0.0.77", port=server.port)
        with moved:
            told.wait(LinkUp, number=2, within_s=REACHED_S)
        assert book.asked > asked, "addresses are asked for anew"


class AddressBook:
    """Answers for ``localhost`` what it is told to, instead of what the system says."""

    def __init__(self, monkeypatch):
        self._real = socket.getaddrinfo
        self.address = None
        self.asked = 0
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host, *rest, **more):
        if host != "localhost":
            return self._real(host, *rest, **more)
        self.asked += 1
        if self.address is None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._real(self.address, *rest, **more)
