"""What a whole turn touches: no network but loopback, no file outside its own folders, no secret.

strace tells of every connection and every file that is written, by the ear and by its children:
onnxruntime's telemetry would show here.
"""

import ipaddress
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.program import run

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"

CALLS = (
    "trace=chdir,connect,sendto,openat,open,creat,mkdir,mkdirat,rename,renameat2,unlink,unlinkat"
)

WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_APPEND|^(?:mkdir|rename|unlink|creat)")
PATH = re.compile(r'"([^"]*)"')
PEER = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')

HARMLESS = ("/dev/null", "/dev/tty", "/proc/self/", "/dev/snd/")
"""Written to without leaving anything behind."""


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> tuple[list[str], Path, str]:
    """The system calls of one whole turn, its home folder, and what it said."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: apt install strace")
    home = tmp_path_factory.mktemp("home")
    log = home.parent / "calls"
    done = run(
        [
            *(strace, "-f", "-qq", "-s", "256", "-e", CALLS, "-o", str(log)),
            *(sys.executable, "-B", "-m", "jarvis_ear", "run", "--with-backend", "--fast"),
            *("--input", str(RECORDING), "--speaker.device", "none", "--log.level", "debug"),
        ],
        check=False,
        env={
            "HOME": str(home),
            "TMPDIR": str(home),
            "XDG_RUNTIME_DIR": str(home),  # the control socket
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONDONTWRITEBYTECODE": "1",  # for the reference backend too
        },
        cwd=home,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return log.read_text(errors="replace").splitlines(), home, done.stdout + done.stderr


def written(lines: list[str], home: Path) -> Iterator[Path]:
    """Whatever was made or changed; a call that failed touched nothing."""
    folders: dict[str, Path] = {}
    for line in lines:
        process, call = line.split(maxsplit=1)
        path = PATH.search(call)
        if path is None or "= -1 " in call:
            continue
        if call.startswith("chdir"):
            folders[process] = Path(path[1])
        elif WRITES.search(call):
            yield folders.get(process, home) / path[1]


def test_it_speaks_to_this_machine_only(trace):
    lines, _, _ = trace
    peers = {
        next(filter(None, match.groups()))
        for line in lines  # also those that failed: the attempt counts
        for match in [PEER.search(line)]
        if match
    }
    assert peers, "the turn reached no backend at all: the trace proves nothing"
    assert [peer for peer in peers if not ipaddress.ip_address(peer).is_loopback] == []


def test_it_writes_nothing_outside_its_folders(trace):
    lines, home, _ = trace
    allowed = (*HARMLESS, str(home))
    assert [path for path in written(lines, home) if not str(path).startswith(allowed)] == []


def test_it_leaves_the_ledger_behind_and_nothing_else(trace):
    _, home, _ = trace
    left = {path.name: path for path in home.rglob("*") if path.is_file()}
    assert set(left) == {"lock", "ledger.jsonl"}
    assert left["lock"].read_bytes() == b""
    verdict, heard = map(json.loads, left["ledger.jsonl"].read_text().splitlines())
    assert set(verdict) == {"time", "turn", "verdict", "cause", "chunks"}
    assert set(heard) == {"time", "turn", "heard", "heard_reason"}
    for path in left.values():
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_was_understood_is_not_logged_unless_asked(trace):
    _, _, said = trace
    assert "what time" not in said.lower()
    assert "characters" in said  # it says how much it understood
    assert "eyJ" not in said  # the beginning of every JWT
    assert "UklGR" not in said  # the beginning of every WAV in base64
