import time
from threading import Event

import pytest

from fakes.descriptors import no_descriptors
from fakes.ear_feed import apply
from jarvis_ear.control import server
from jarvis_ear.control.client import ask
from jarvis_ear.control.feed import Feed, decode
from jarvis_ear.control.server import MAX_WATCHERS_OF_USER, ControlServer

SOON_S = 10.0


class Watcher:
    """Reads the lines of the feed, and applies them."""

    def __init__(self, client) -> None:
        self.client = client
        self.lines = client.makefile("rb")
        self.topics = {}

    def read_until(self, sees) -> None:
        deadline = time.monotonic() + SOON_S
        while not sees(self.topics):
            assert time.monotonic() < deadline, self.topics
            self.topics = apply(self.topics, decode(self.lines.readline()))

    def is_refused(self) -> bool:
        try:
            return self.lines.readline() == b""
        except ConnectionResetError:  # it was closed with our command unread
            return True

    def close(self) -> None:
        self.lines.close()
        self.client.close()


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def samples():
    """The samples that were put into the feed."""
    return []


@pytest.fixture
def control(tmp_path, feed, samples):
    def sample() -> None:
        samples.append(len(samples) + 1)
        feed.put("samples", samples[-1])

    with ControlServer(tmp_path, lambda word: {"received": word}, feed, sample) as made:
        yield made


@pytest.fixture(params=["control", "feed"])
def watch(request, connect, tmp_path):
    """Make a watcher in one of the two ways: by the command, or by the socket of the feed."""
    made = []

    def make() -> Watcher:
        word = b"watch\n" if request.param == "control" else b""
        made.append(Watcher(connect(tmp_path / request.param, word)))
        return made[-1]

    yield make
    for watcher in made:
        watcher.close()


def test_a_watcher_gets_everything_and_then_the_changes(control, feed, watch):
    feed.put("state", "idle")
    watcher = watch()
    watcher.read_until(lambda topics: topics.get("state") == "idle")
    feed.put("state", "listening")
    watcher.read_until(lambda topics: topics["state"] == "listening" and topics["samples"] > 3)


def test_without_watchers_nothing_is_sampled(control, samples, watch, wait_until):
    watcher = watch()
    watcher.read_until(lambda topics: topics.get("samples", 0) >= 1)
    watcher.close()
    wait_until(lambda: not control._watchers())
    before = len(samples)
    assert not Event().wait(0.4)  # five ticks
    assert len(samples) == before


def test_one_watcher_too_many_of_a_user_is_refused(control, watch):
    for _ in range(MAX_WATCHERS_OF_USER):
        watch().read_until(lambda topics: topics)
    assert watch().is_refused()
    assert control.counters() == {"control_refused": 0, "feed_refused": 1, "feed_dropped": 0}


def test_one_watcher_too_many_of_all_users_is_refused(control, watch, monkeypatch):
    monkeypatch.setattr(server, "MAX_WATCHERS", 1)
    watch().read_until(lambda topics: topics)
    assert watch().is_refused()


def test_watchers_and_clients_have_separate_bounds(control, watch, tmp_path):
    for _ in range(MAX_WATCHERS_OF_USER):
        watch().read_until(lambda topics: topics)
    for _ in range(server.MAX_CLIENTS_OF_USER):
        assert ask([tmp_path / "control"], "mute") == {"received": "mute"}
    assert len(control._watchers()) == MAX_WATCHERS_OF_USER
    assert control.refused == 0


def test_another_user_is_refused(control, connect, tmp_path, foreign_user):
    assert Watcher(connect(tmp_path / "feed")).is_refused()
    assert control.feed_refused == 1


def test_a_watcher_that_sends_is_closed(control, watch, wait_until):
    watcher = watch()
    wait_until(control._watchers)
    watcher.client.sendall(b"mute\n")
    wait_until(lambda: not control._watchers())


def test_a_slow_watcher_delays_no_other_and_catches_up(control, feed, samples, watch, tmp_path):
    slow, fast = watch(), watch()
    fast.read_until(lambda topics: topics)
    for number in range(400):
        feed.put("bulk", [number] * 20_000)
    before = len(samples)
    fast.read_until(lambda topics: topics.get("samples", 0) > before + 3)
    assert ask([tmp_path / "control"], "mute") == {"received": "mute"}
    feed.put("bulk", "over")
    assert feed.dropped
    slow.read_until(lambda topics: topics.get("bulk") == "over")


def test_without_descriptors_it_waits_and_then_serves(
    control, connect, tmp_path, accepts, wait_until
):
    with no_descriptors():
        client = connect(tmp_path / "feed")
        wait_until(lambda: accepts)
        assert not Event().wait(0.6)
        assert len(accepts) < 6
    waiting = Watcher(client)
    waiting.read_until(lambda topics: topics)
    waiting.close()
