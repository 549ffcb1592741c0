"""A program of another user in the place of an ear's sockets is not trusted."""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes.program import VERB
from jarvis_ear import paths as places
from jarvis_ear.control import unix_socket
from jarvis_ear.control.client import ask
from jarvis_ear.control.server import ControlServer
from jarvis_ear.errors import Impostor

STRANGER = 12_345

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can start a program as another user"
)

FAKE = """
import json, os, socket, sys
folder = sys.argv[1]
is_mine = not os.path.isdir(folder)
if is_mine:
    os.mkdir(folder, 0o700)
listeners = {name: socket.socket(socket.AF_UNIX) for name in ("feed", "control")}
for name, listener in listeners.items():
    listener.bind(os.path.join(folder, name))
    os.chmod(os.path.join(folder, name), 0o666)
    listener.listen()
if is_mine:
    os.chmod(folder, 0o755)
print("ready", flush=True)
answer = {
    "muted_by": ["owner"], "stored": True, "state": "muted", "hearing": False, "heard_s_ago": None,
    "deaf_s_today": 0, "stuck": [], "turns": [],
}
while True:
    client, _ = listeners["control"].accept()
    print("asked", flush=True)
    client.recv(64)
    client.sendall(json.dumps(answer).encode() + b"\\n")
    client.close()
"""
DRIP = """
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
client, _ = listener.accept()
while True:
    client.sendall(b" ")
    time.sleep(0.05)
"""


@pytest.fixture
def shared():
    """A folder like /tmp, in which every user may create files."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def ear_in(folder: Path) -> ControlServer:
    return ControlServer(folder, lambda word: {"did": word})


@contextmanager
def program(source: str, place: Path, **user):
    """Run a program that is ready, until the end."""
    argv = [sys.executable, "-c", source, str(place)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd="/", **user) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def fake(folder: Path):
    """Run another user's program that answers as a muted ear would."""
    return program(FAKE, folder, user=STRANGER, group=STRANGER, extra_groups=())


def jarvis_ear(*argv: str, shared: Path) -> subprocess.Popen[str]:
    """Do what sudo and cron do: there is no XDG_RUNTIME_DIR."""
    environ = {**os.environ, "TMPDIR": str(shared)}
    environ.pop("XDG_RUNTIME_DIR", None)
    environ.pop("RUNTIME_DIRECTORY", None)
    return subprocess.Popen(
        [*VERB, *argv],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("word", ["status", "mute", "unmute", "toggle", "stop"])
def test_an_impostor_below_tmp_is_reported_and_gets_no_command(shared, word):
    with fake(shared / "jarvis-ear-0") as process:
        command = jarvis_ear(word, shared=shared)
        out, err = command.communicate(timeout=30)
        process.kill()
        assert "asked" not in process.stdout.read()
    assert (command.returncode, out) == (77, "")
    assert f"jarvis-ear-0 belongs to user {STRANGER}" in err
    assert err.count("\n") == 1


def test_the_console_does_not_show_an_impostor(shared):
    with fake(shared / "jarvis-ear-0"):
        console = jarvis_ear("console", "--port", "0", shared=shared)
        try:
            assert f"belongs to user {STRANGER}" in console.stderr.readline()
        finally:
            console.kill()
            console.communicate()


def test_our_own_ear_is_found_behind_an_impostor(shared, tmp_path):
    with fake(shared / "jarvis-ear-0"), ear_in(tmp_path):
        paths = [shared / "jarvis-ear-0" / "control", tmp_path / "control"]
        assert ask(paths, "mute") == {"did": "mute"}


def test_the_process_behind_a_socket_in_our_folder_is_checked(shared):
    folder = shared / "ours"
    folder.mkdir()
    folder.chmod(0o777)  # so that the stranger gets in
    with fake(folder):
        with pytest.raises(Impostor, match=r"others may write into .* \(mode 0777\)"):
            unix_socket.connect(folder / "control", 1)
        folder.chmod(0o700)
        with pytest.raises(Impostor, match=f"is answered by user {STRANGER}"):
            unix_socket.connect(folder / "control", 1)


def test_a_link_of_another_user_is_not_followed(shared, tmp_path):
    link = shared / "jarvis-ear-0"
    link.symlink_to(tmp_path)
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    with ear_in(tmp_path), pytest.raises(Impostor, match=f"belongs to user {STRANGER}"):
        ask([link / "control"], "mute")


def test_the_user_of_the_service_is_trusted(shared, monkeypatch):
    service = SimpleNamespace(pw_uid=STRANGER)
    monkeypatch.setattr(unix_socket.pwd, "getpwnam", lambda _name: service)
    with fake(shared / "jarvis-ear") as process:
        assert ask([shared / "jarvis-ear" / "control"], "mute")["muted_by"] == ["owner"]
        assert process.stdout.readline() == "asked\n"


def test_the_service_comes_before_the_folder_below_tmp(shared, monkeypatch):
    monkeypatch.setattr(places, "SERVICE", shared / "run")
    (shared / "run").mkdir(mode=0o700)
    with fake(shared / "jarvis-ear-0"), ear_in(shared / "run"):
        paths = places.sockets({"TMPDIR": str(shared)})
        assert ask(paths, "mute") == {"did": "mute"}


def test_a_slow_answer_times_out(tmp_path, monkeypatch):
    monkeypatch.setattr("jarvis_ear.control.client.ASK_S", 0.3)
    with program(DRIP, tmp_path / "control"), pytest.raises(TimeoutError):
        ask([tmp_path / "control"], "status")
