"""Workers, as processes: they share a port, are replaced, and end with their parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
import requests

from fakes.redis_server import PROGRAM, RedisServer

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed"),
]

SECRET = "s" * 32


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextmanager
def backend(redis, *arguments):
    command = [sys.executable, "-m", "jarvis_backend", "--companion", "--port=0", "--workers=2"]
    options = {"JARVIS_BACKEND_JWT_SECRET": SECRET, "JARVIS_BACKEND_STT__ENGINE": "none"}
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


def until(condition):
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


def test_two_workers_are_one_backend_and_stop_when_told(redis):
    with backend(redis) as (process, url):
        login = requests.post(url + "/api/auth/login", json={"password": "jarvis"}, timeout=10)
        token = login.json()["token"]

        async def scene():
            async with aiohttp.ClientSession() as http:
                lines = [await http.ws_connect(url + "/ws", protocols=[token]) for _ in range(40)]
                told = [asyncio.create_task(one.receive_json()) for one in lines]
                while not all(task.done() for task in told):
                    await lines[0].send_json({"type": "knock"})
                    await asyncio.sleep(0.05)
                for one in lines:
                    await one.close()

        asyncio.run(asyncio.wait_for(scene(), 20))
        assert len(workers_of(process)) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not is_healthy(url)


def test_a_worker_that_dies_is_replaced(redis):
    with backend(redis) as (process, url):
        before = workers_of(process)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(workers_of(process)) == 2 and workers_of(process) != before)
        assert all(is_healthy(url) for _ in range(20))
        process.stdin.close()
        assert process.wait(10) == 0
        assert "another one takes its place" in process.stderr.read()


def test_workers_end_with_their_parent(redis):
    with backend(redis) as (process, url):
        workers = workers_of(process)
        process.kill()
        until(lambda: all(map(is_gone, workers)))
        assert not is_healthy(url)
