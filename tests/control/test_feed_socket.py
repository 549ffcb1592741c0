import os
import socket
import stat
import threading
import time

import pytest

from fakes.descriptors import no_descriptors
from jarvis_ear.control import feed_server as module
from jarvis_ear.control import server as private_socket
from jarvis_ear.control.feed import Feed, apply, decode
from jarvis_ear.control.feed_server import MAX_OF_ONE_USER, FeedSocket

SOON_S = 10.0


class Looker:
    """Puts a rising number into the feed at every tick."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.looks = 0

    def look(self) -> None:
        self.looks += 1
        self.feed.put("looks", self.looks)


class Console:
    """Reads lines, and keeps what they amount to."""

    def __init__(self, path) -> None:
        self.client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.client.settimeout(SOON_S)
        self.client.connect(str(path))
        self.lines = self.client.makefile("rb")
        self.topics = {}

    def read_until(self, sees) -> None:
        deadline = time.monotonic() + SOON_S
        while not sees(self.topics):
            assert time.monotonic() < deadline, self.topics
            self.topics = apply(self.topics, decode(self.lines.readline()))

    def is_turned_away(self) -> bool:
        return self.lines.readline() == b""

    def close(self) -> None:
        self.lines.close()
        self.client.close()


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def looker(feed):
    return Looker(feed)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feed"


@pytest.fixture
def server(path, feed, looker):
    with FeedSocket(path, feed, looker.look) as made:
        yield made


@pytest.fixture
def consoles(server, path):
    made = []

    def connect() -> Console:
        made.append(Console(path))
        return made[-1]

    yield connect
    for console in made:
        console.close()


def wait_until(happens) -> None:
    deadline, pause = time.monotonic() + SOON_S, threading.Event()
    while not happens():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def test_a_console_sees_everything_and_then_what_changes(feed, consoles):
    feed.put("state", "idle")
    console = consoles()
    console.read_until(lambda topics: topics.get("state") == "idle")
    feed.put("state", "listening")
    console.read_until(lambda topics: topics["state"] == "listening" and topics["looks"] > 3)


def test_while_nobody_watches_nobody_looks(server, looker, consoles):
    console = consoles()
    console.read_until(lambda topics: topics.get("looks", 0) >= 1)
    console.close()
    wait_until(lambda: not server._watchers)
    looks = looker.looks
    assert not threading.Event().wait(0.4)  # five ticks
    assert looker.looks == looks


def test_the_socket_is_welcome_alone_and_goes_with_us(path, feed, looker):
    with FeedSocket(path, feed, looker.look):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    assert "feed" not in [thread.name for thread in threading.enumerate()]


def test_one_too_many_is_turned_away(server, consoles):
    for _ in range(MAX_OF_ONE_USER):
        consoles().read_until(lambda topics: topics)
    assert consoles().is_turned_away()
    assert server.refused == 1


def test_so_is_one_too_many_of_all_users(server, consoles, monkeypatch):
    monkeypatch.setattr(module, "MAX_WATCHERS", 1)
    consoles().read_until(lambda topics: topics)
    assert consoles().is_turned_away()


def test_another_user_is_turned_away(server, consoles, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(private_socket, "_CREDENTIALS", Stranger())
    assert consoles().is_turned_away()
    assert server.refused == 1


class Stranger:
    size = 12

    def unpack(self, _raw: bytes) -> tuple[int, int, int]:
        return (1, 1234, 1234)


def test_who_speaks_is_turned_away(server, consoles):
    console = consoles()
    wait_until(lambda: server._watchers)
    console.client.sendall(b"mute\n")
    wait_until(lambda: not server._watchers)


def test_who_does_not_read_is_not_waited_for_and_catches_up(feed, looker, consoles):
    stuck, quick = consoles(), consoles()
    quick.read_until(lambda topics: topics)
    for number in range(400):
        feed.put("bulk", [number] * 20_000)
    before = looker.looks
    quick.read_until(lambda topics: topics.get("looks", 0) > before + 3)
    feed.put("bulk", "over")
    assert feed.dropped
    stuck.read_until(lambda topics: topics.get("bulk") == "over")


def test_an_ear_without_a_socket_hears_all_the_same(tmp_path, feed, looker, caplog):
    with FeedSocket(tmp_path / "missing" / "feed", feed, looker.look):
        pass
    assert "no feed for a console at" in caplog.text


@pytest.fixture
def accepts(monkeypatch):
    """One entry for each time that somebody tried to accept a connection."""
    tried, accept = [], socket.socket.accept

    def counted(listener):
        tried.append(listener)
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", counted)
    return tried


def test_without_descriptors_it_waits_and_then_serves(path, feed, looker, accepts):
    with FeedSocket(path, feed, looker.look):
        with no_descriptors():
            waiting = Console(path)
            wait_until(lambda: accepts)
            assert not threading.Event().wait(0.6)
            assert len(accepts) < 6
        waiting.read_until(lambda topics: topics)
        waiting.close()
