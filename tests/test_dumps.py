"""No other program of the same user looks into the memory of ours."""

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import jarvis_backend.process
import jarvis_ear.process
from fakes.redis_server import PROGRAM, RedisServer
from jarvis_ear.devices.portaudio_process import pipe

PR_GET_DUMPABLE = 3
NOBODY = 65_534
SOON_S = 60


@contextmanager
def running(*arguments, **extra):
    """Run a module of ours as a user without rights, whose files in /proc tell who may read."""
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, "HOME": "/", **extra.pop("env", {})},
        user=NOBODY if os.geteuid() == 0 else None,
        **extra,
    )
    deadline = threading.Timer(SOON_S, process.kill)
    deadline.start()
    try:
        yield process
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def is_roots_alone(pid):
    """Whether only root may read its memory and environment (proc(5), "/proc/pid")."""
    return {Path(f"/proc/{pid}/{name}").stat().st_uid for name in ("environ", "mem")} == {0}


def children_of(pid):
    """Every process that it has started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(one) for task in tasks for one in (task / "children").read_text().split()}


@pytest.mark.parametrize("module", [jarvis_backend.process, jarvis_ear.process])
def test_a_process_that_asked_for_it_cannot_be_dumped(module):
    libc = ctypes.CDLL(None)
    was = libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    try:
        module.forbid_dumps()
        assert libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
        # What we read of ourselves stays readable: PulseAudio is given a file by this name.
        with Path("/dev/null").open() as file:
            assert Path(f"/proc/self/fd/{file.fileno()}").read_bytes() == b""
    finally:
        libc.prctl(module.PR_SET_DUMPABLE, was, 0, 0, 0)


def test_the_user_sees_a_program_that_did_not_ask():
    """So that the tests below can fail."""
    with running("http.server", "--bind", "127.0.0.1", "0", env={"PYTHONUNBUFFERED": "1"}) as one:
        assert one.stdout.readline()
        assert not is_roots_alone(one.pid)


@pytest.mark.parametrize(
    "arguments",
    [("jarvis_backend", "--companion", "--port=0"), ("jarvis_ear", "console", "--port=0")],
)
def test_the_backend_and_the_console(arguments):
    with running(*arguments, env={"JARVIS_PASSWORD": "x"}) as one:
        assert one.stdout.readline().strip()
        assert is_roots_alone(one.pid)


@pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")
def test_workers_of_the_backend(tmp_path):
    secret = "s" * 32
    env = {"JARVIS_BACKEND_JWT_SECRET": secret, "JARVIS_BACKEND_STT__ENGINE": "none"}
    with RedisServer(tmp_path) as redis:
        options = ["--companion", "--port=0", "--workers=2", "--message-queue", redis.url]
        with running("jarvis_backend", *options, env=env) as one:
            assert one.stdout.readline()
            children = children_of(one.pid)
            workers = {
                pid
                for pid in children
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
            }
            assert len(workers) == 2
            assert all(map(is_roots_alone, {one.pid, *workers}))
            helpers = [Path(f"/proc/{pid}/environ") for pid in children - workers]
            assert len(helpers) == 1  # of Python's own, which anybody may look into
            assert not any(secret.encode() in helper.read_bytes() for helper in helpers)


@pytest.mark.parametrize("arguments", [(), ("live",)])
def test_a_decoder(arguments):
    pytest.importorskip("pocketsphinx")
    with running("jarvis_backend.engines.sphinx_child", *arguments) as one:
        assert one.stdout.read(4) == "\0" * 4  # the model is loaded
        assert is_roots_alone(one.pid)


def test_the_sound_process():
    ours, theirs = pipe()
    handle = theirs.fileno()
    with (
        theirs,
        running("jarvis_ear.devices.sound_server", str(handle), pass_fds=[handle]) as one,
    ):
        ours.send(("default", {"kind": "input"}))
        if not ours.poll(SOON_S):
            pytest.fail("it did not answer")
        with suppress(EOFError):  # there need not be any library
            ours.receive()
            assert is_roots_alone(one.pid)


@pytest.fixture
def folder():
    """A folder in which every user may write."""
    with tempfile.TemporaryDirectory(prefix="jarvis-dumps-") as path:
        Path(path).chmod(0o777)
        yield path


def test_the_ear(folder):
    """It has no microphone, and waits for one as a service does."""
    address = f"{folder}/notify"
    env = {
        **dict.fromkeys(("HOME", "RUNTIME_DIRECTORY", "STATE_DIRECTORY"), folder),
        "JARVIS_PASSWORD": "x",
        "JARVIS_EAR_MICROPHONE__DEVICE": "nothing of this name",
        "INVOCATION_ID": "a service",
        "NOTIFY_SOCKET": address,
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        Path(address).chmod(0o777)
        notify.settimeout(SOON_S)
        with running("jarvis_ear", "run", env=env) as one:
            while b"READY=1" not in notify.recv(4096):
                pass
            everything = {one.pid, *children_of(one.pid)}
            assert all(map(is_roots_alone, everything))
