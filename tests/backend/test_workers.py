"""Workers: how long each may take to start, without processes, and then as real processes."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
import requests

from fakes.redis_server import PROGRAM, RedisServer
from jarvis_backend import workers as module
from jarvis_backend.config import BackendConfig
from jarvis_backend.errors import JarvisBackendError
from jarvis_backend.workers import WORKER_S, Workers


class Process:
    """The process of a worker: the test says when it is ready and when it ends."""

    def __init__(self, ready):
        self.ready = ready
        self.exitcode = None
        self.killed = False
        self._end, self.sentinel = Pipe()

    def start(self):
        pass

    def is_alive(self):
        return self.exitcode is None

    def accept(self):
        self.ready.send("accepts")

    def end(self, status):
        if self.is_alive():
            self.exitcode = status
            self._end.close()
            self.ready.close()

    def terminate(self):
        self.end(-15)

    def kill(self):
        self.killed = self.is_alive()
        self.end(-9)

    def join(self, _timeout_s=None):
        assert _timeout_s or not self.is_alive()


class Family:
    """Workers with such processes, and the clock by which they are started."""

    def __init__(self, count, start_s=0.0):
        self.now = 1000.0
        self.made = []
        self.start_s = start_s
        """How long the parent takes to start one."""
        self.on_start = lambda: None
        config = BackendConfig(workers=count, port=0, message_queue="redis://x")
        self.workers = Workers(config, lambda: self.now)
        self.workers._spawn = self

    def Pipe(self, duplex):  # noqa: N802 - as the module has it
        ready, self._sender = Pipe(duplex)
        return ready, SimpleNamespace(close=lambda: None)  # the worker has the sender itself

    def Process(self, **_):  # noqa: N802 - as the module has it
        self.made.append(Process(self._sender))
        self.now += self.start_s
        self.on_start()
        return self.made[-1]

    def pass_by(self, time_s):
        self.now += time_s


@pytest.fixture
def family():
    made = []

    def make(*arguments):
        made.append(Family(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.workers.stop()


def test_each_worker_has_its_time_from_its_own_beginning(family):
    """Three that are begun 40 s apart: the last may still start when the first is long late."""
    three = family(3, 40.0)
    three.on_start = lambda: len(three.made) == 3 and [one.accept() for one in three.made]
    assert three.workers.start().startswith("http://127.0.0.1:")
    assert [worker.deadline for worker in three.workers._workers] == [1100.0, 1140.0, 1180.0]


def test_a_worker_that_takes_longer_is_an_error_and_all_are_ended(family):
    two = family(2, WORKER_S + 1)
    two.on_start = lambda: len(two.made) == 2 and two.made[1].accept()
    complaint = r"^a worker did not start, expected it within 60 s$"
    with pytest.raises(JarvisBackendError, match=complaint):
        two.workers.start()
    assert not any(process.is_alive() for process in two.made)


def test_a_worker_that_ends_instead_is_an_error_at_once(family):
    one = family(1)
    one.on_start = lambda: one.made[0].end(1)
    with pytest.raises(JarvisBackendError, match="did not start"):
        one.workers.start()


def test_a_stop_need_not_wait_for_the_start(family):
    one = family(1)
    one.on_start = one.workers.ask_to_stop
    one.workers.start()
    one.workers.wait()
    one.workers.stop()
    assert not one.made[0].is_alive()


@pytest.fixture
def wait_with(monkeypatch):
    """Wait, and do one thing after the other, each before the parent looks for events again."""
    monkeypatch.setattr(module, "RESTART_DELAY_S", 0)

    def wait(family, *acts):
        look, left = family.workers._wait_for_events, [*acts, family.workers.ask_to_stop]

        def next_events():
            left.pop(0)()
            return look()

        monkeypatch.setattr(family.workers, "_wait_for_events", next_events)
        family.workers.wait()

    return wait


def test_a_replacement_that_does_not_start_is_replaced_too(family, wait_with, caplog):
    one = family(1)
    one.on_start = lambda: len(one.made) != 2 and one.made[-1].accept()  # the second one hangs
    one.workers.start()
    with caplog.at_level(logging.WARNING):
        wait_with(
            one,
            lambda: one.made[0].end(1),
            lambda: one.pass_by(WORKER_S + 1),
            lambda: None,  # the third one says that it accepts
        )
    assert len(one.made) == 3
    assert one.made[1].killed
    assert caplog.messages == [
        "a worker has ended (status 1); another one takes its place",
        "a worker did not start within 60 s",
        "a worker has ended (status -9); another one takes its place",
    ]


def test_a_replacement_that_accepts_stays(family, wait_with):
    two = family(2)
    two.on_start = lambda: two.made[-1].accept()  # noqa: PLW0108 - of the newest
    two.workers.start()
    wait_with(
        two,
        lambda: two.made[0].end(1),
        lambda: None,  # its replacement says that it accepts
        lambda: two.pass_by(WORKER_S + 1) or two.made[1].end(1),
    )
    assert len(two.made) == 4
    assert two.made[2].is_alive()


# Real processes


def real(test):
    """Start real processes in this test, which takes a while and needs Redis."""
    needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")
    return pytest.mark.long(needs_redis(test))


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextmanager
def backend(redis, *arguments):
    command = [sys.executable, "-m", "jarvis_backend", "--companion", "--port=0", "--workers=2"]
    options = {"JARVIS_BACKEND_JWT_SECRET": "s" * 32, "JARVIS_BACKEND_STT__ENGINE": "none"}
    with subprocess.Popen(
        [*command, "--message-queue", redis.url, *arguments],
        env={**os.environ, **options},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def workers_of(process):
    """Processes that accept for ``process``; Python's own helper of such processes is none."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {
        int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_healthy(url):
    try:
        return requests.get(url + "/health", timeout=10).ok
    except requests.ConnectionError:
        return False


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "Z (zombie)" in Path(f"/proc/{pid}/status").read_text()


@real
async def test_two_workers_are_one_backend_and_stop_with_it(redis, log_in):
    with backend(redis) as (process, url):
        async with aiohttp.ClientSession() as http:
            token = log_in(url)
            lines = [await http.ws_connect(url + "/ws", protocols=[token]) for _ in range(40)]
            told = [asyncio.create_task(one.receive_json()) for one in lines]
            while not all(task.done() for task in told):
                await lines[0].send_json({"type": "knock"})
                await asyncio.sleep(0.05)
            for one in lines:
                await one.close()
        assert len(workers_of(process)) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not is_healthy(url)


@real
def test_a_worker_that_dies_is_replaced(redis):
    with backend(redis) as (process, url):
        before = workers_of(process)
        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: len(workers_of(process)) == 2 and workers_of(process) != before)
        assert all(is_healthy(url) for _ in range(20))
        process.stdin.close()
        assert process.wait(10) == 0
        assert "another one takes its place" in process.stderr.read()


@real
def test_workers_end_with_their_parent(redis):
    with backend(redis) as (process, url):
        workers = workers_of(process)
        process.kill()
        wait_until(lambda: all(map(is_gone, workers)))
        assert not is_healthy(url)
