"""Ctrl-C while the program starts ends it without a traceback and without a warning."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.program import run
from fakes.voice_server import wait_until

SOUND = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
SOON_S = 20.0

INTERRUPTED_AT = """
import importlib.abc, os, runpy, signal, sys

class Interrupts(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[2]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
"""
AS_MODULE = """
module = sys.argv[1]
sys.argv[1:] = []
runpy.run_module(module, run_name="__main__")
"""
AS_SCRIPT = """
from jarvis_ear.cli import program
sys.argv[1:] = ["run"]
program()
"""


@pytest.mark.parametrize(
    ("start", "program", "module"),
    [
        (AS_MODULE, "jarvis_ear", "jarvis_ear.backend"),
        (AS_MODULE, "jarvis_backend", "jarvis_backend.server"),
        (AS_SCRIPT, "", "jarvis_ear.control.client"),
        (AS_SCRIPT, "", "jarvis_ear.backend"),
    ],
)
def test_ctrl_c_among_the_imports_says_nothing(start, program, module):
    code = INTERRUPTED_AT.replace("sys.argv[2]", repr(module)) + start
    done = run([sys.executable, "-c", code, program], check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    "program", ["jarvis_ear.cli", "jarvis_ear.__main__", "jarvis_backend.__main__"]
)
def test_once_it_is_loaded_ctrl_c_is_what_it_was(program):
    code = (
        f"import signal, {program}\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def backend_below(pid: int) -> int:
    """Return the process of the backend that ``pid`` has started; 0: there is none yet."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"jarvis_backend" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return 0


def heard_until(program: subprocess.Popen[str], words: str) -> str:
    assert program.stderr is not None
    said = ""
    while words not in said:
        line = program.stderr.readline()
        assert line, said
        said += line
    return said


@pytest.mark.parametrize("is_up", [False, True])
def test_ctrl_c_in_the_terminal_is_for_the_ear_which_ends_its_backend(is_up, tmp_path):
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "jarvis_ear", "run", "--with-backend", "--input", str(SOUND)),
            *("--spool.dir", str(tmp_path), "--spool.ledger-dir", str(tmp_path)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )
    try:
        wait_until(lambda: backend_below(program.pid))
        backend = backend_below(program.pid)
        said = heard_until(program, "backend reached") if is_up else ""
        os.killpg(program.pid, signal.SIGINT)  # what a terminal does
        said += program.communicate(timeout=SOON_S)[1]
    finally:
        program.kill()
    assert program.returncode == 0, said
    for words in ("Traceback", "not usable", "did not start"):
        assert words not in said
    wait_until(lambda: not Path(f"/proc/{backend}").exists(), SOON_S)
