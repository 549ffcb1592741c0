"""How long workers may take to start, each from its own beginning; no process is started here."""

import logging
from multiprocessing import Pipe

import pytest

from jarvis_backend import workers as module
from jarvis_backend.config import BackendConfig
from jarvis_backend.errors import JarvisBackendError
from jarvis_backend.workers import WORKER_S, Workers


class Process:
    """A worker's process: the test says when it ends. Its parent owns it."""

    exitcode = None

    def __init__(self):
        self._end, self.sentinel = Pipe()
        self.killed = False

    def start(self):
        pass

    def is_alive(self):
        return self.exitcode is None

    def end(self, status):
        if self.is_alive():
            self.exitcode = status
            self._end.close()

    def terminate(self):
        self.end(-15)

    def kill(self):
        self.killed = self.is_alive()
        self.end(-9)

    def join(self, _timeout_s=None):
        assert _timeout_s or not self.is_alive()


class Family:
    """Workers whose processes are made here, with the clock that they are started by."""

    def __init__(self, count, start_s=0.0):
        self.now = 1000.0
        self.made = []
        """Each process, and what it says that it accepts by."""
        self.start_s = start_s
        """How long the parent takes to start one."""
        self.on_start = lambda: None
        options = {"workers": count, "port": 0, "message_queue": "redis://x"}
        self.workers = Workers(BackendConfig(**options), lambda: self.now)
        self.workers._spawn = self

    def Pipe(self, duplex):  # noqa: N802 - as the module has it
        self.ready, self.says_ready = Pipe(duplex)
        return self.ready, _Kept(self.says_ready)

    def Process(self, **_):  # noqa: N802 - as the module has it
        process = Process()
        self.made.append((process, self.says_ready))
        self.now += self.start_s
        self.on_start()
        return process

    def pass_by(self, time_s):
        self.now += time_s

    def accept(self, number):
        self.made[number][1].send("accepts")

    def end(self, number, status):
        self.made[number][0].end(status)
        self.made[number][1].close()


class _Kept:
    """The parent's copy of what a worker says it by: closing it leaves the worker's own."""

    def __init__(self, connection):
        self._connection = connection

    def close(self):
        pass


@pytest.fixture
def family():
    made = []

    def make(*arguments):
        made.append(Family(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.workers.stop()


def test_each_has_its_time_from_its_own_beginning(family):
    """Three that are begun 40 s apart: the last may still start when the first is long late."""
    three = family(3, 40.0)
    three.on_start = lambda: len(three.made) == 3 and [three.accept(one) for one in range(3)]
    assert three.workers.start().startswith("http://127.0.0.1:")
    ends = [worker.deadline for worker in three.workers._workers]
    assert ends == [1100.0, 1140.0, 1180.0]


def test_one_that_takes_longer_is_told_and_all_are_ended(family):
    two = family(2, WORKER_S + 1)
    two.on_start = lambda: len(two.made) == 2 and two.accept(1)
    with pytest.raises(
        JarvisBackendError, match=r"^a worker did not start, expected it within 60 s$"
    ):
        two.workers.start()
    assert not any(process.is_alive() for process, _ in two.made)


def test_one_that_ends_instead_is_told_at_once(family):
    one = family(1)
    one.on_start = lambda: one.end(0, 1)
    with pytest.raises(JarvisBackendError, match="did not start"):
        one.workers.start()


def test_a_stop_need_not_wait_for_the_start(family):
    one = family(1)
    one.on_start = one.workers.ask_to_stop
    one.workers.start()
    one.workers.wait()
    one.workers.stop()
    assert not one.made[0][0].is_alive()


@pytest.fixture
def before_news(monkeypatch):
    """Do one thing after the other, each before the parent looks for news again."""
    monkeypatch.setattr(module, "RESTART_DELAY_S", 0)

    def set_up(family, *acts):
        look, left = family.workers._wait_for_events, list(acts)

        def next_news():
            left.pop(0)()
            return look()

        monkeypatch.setattr(family.workers, "_wait_for_events", next_news)

    return set_up


def test_a_replacement_that_does_not_start_is_replaced_too(family, before_news, caplog):
    one = family(1)
    one.on_start = lambda: len(one.made) != 2 and one.accept(-1)  # the second one hangs
    one.workers.start()
    before_news(
        one,
        lambda: one.end(0, 1),
        lambda: one.pass_by(WORKER_S + 1),
        lambda: None,  # the third one says that it accepts
        one.workers.ask_to_stop,
    )
    with caplog.at_level(logging.WARNING):
        one.workers.wait()
    assert len(one.made) == 3
    assert one.made[1][0].killed
    assert caplog.messages == [
        "a worker has ended (status 1); another one takes its place",
        "a worker did not start within 60 s",
        "a worker has ended (status -9); another one takes its place",
    ]


def test_a_replacement_that_accepts_stays(family, before_news):
    two = family(2)
    two.on_start = lambda: two.accept(-1)
    two.workers.start()
    before_news(
        two,
        lambda: two.end(0, 1),
        lambda: None,  # its replacement says that it accepts
        lambda: two.pass_by(WORKER_S + 1) or two.end(1, 1),
        two.workers.ask_to_stop,
    )
    two.workers.wait()
    assert len(two.made) == 4
    assert two.made[2][0].is_alive()
