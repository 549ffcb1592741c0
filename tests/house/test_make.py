"""make sets up once, again when a lock file changes, and hands everything else through."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fakes.program import run

ROOT = Path(__file__).parents[2]

SETUP = r"""#!/bin/sh
echo "setup $1"
mkdir -p .venv/bin
printf '%s' "$EAR" > .venv/bin/jarvis-ear
printf '#!/bin/sh\necho "backend $*"; exit ${FETCHED:-0}\n' > .venv/bin/jarvis-backend
chmod +x .venv/bin/jarvis-*
: > ".venv/.ready-$1-$2"
"""

EAR = """#!/bin/sh
echo "ear $*"
env | grep ^JARVIS_EAR_ | sort
"""

MAKING_EAR = """#!/bin/sh
[ -n "$INNER" ] && { echo "inner $*"; exit; }
echo "outer $*"
INNER=1 make run
echo "ARGS is [$ARGS], $MAKEOVERRIDES"
"""

LISTENING_EAR = """#!/bin/sh
trap 'echo bye; exit 0' INT
echo listening
while :; do sleep 0.05; done
"""


@pytest.fixture
def checkout(tmp_path):
    """The real Makefile with a set-up and a program that only say that they were called."""
    lock = tmp_path / "tests" / "node" / "package-lock.json"
    lock.parent.mkdir(parents=True)
    for file in [*ROOT.glob("requirements*.txt"), ROOT / "Makefile", ROOT / "pyproject.toml"]:
        shutil.copy(file, tmp_path)
    shutil.copy(ROOT / lock.relative_to(tmp_path), lock)
    script = tmp_path / "tools" / "setup.sh"
    script.parent.mkdir()
    script.write_text(SETUP)
    script.chmod(0o755)
    return tmp_path


RECORDING = "tests/data/hey-jarvis-what-time-is-it.wav"
OPTIONS = f"""\
JARVIS_EAR_CONSOLE__TRANSCRIPTS=true
JARVIS_EAR_LOG__TRANSCRIPTS=true
JARVIS_EAR_MICROPHONE__FALLBACK={RECORDING}
JARVIS_EAR_WITH_BACKEND=true
"""
"""Weaker than arguments, which may say otherwise."""

RUN = f"ear run\n{OPTIONS}"


def environment(ear: str = EAR) -> dict[str, str]:
    ours = ("MAKE", "JARVIS_", "ARGS")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**clean, "EAR": ear}


def make(checkout: Path, *words: str, ear: str = EAR) -> subprocess.CompletedProcess[str]:
    return run(["make", *words], check=False, env=environment(ear), cwd=checkout, timeout=20)


def test_a_new_changed_or_moved_checkout_is_set_up_once_and_run(checkout, tmp_path_factory):
    assert make(checkout, "run").stdout == f"setup run\n{RUN}"
    began = time.monotonic()
    assert make(checkout, "run").stdout == RUN
    assert time.monotonic() - began < 3
    assert (ROOT / RECORDING).is_file()
    said = make(checkout, "run", "ARGS=--device usb --fast").stdout
    assert said == f"ear run --device usb --fast\n{OPTIONS}"
    with (checkout / "requirements.txt").open("a") as lock:
        lock.write("# another pin\n")
    assert make(checkout, "run").stdout.startswith("setup run\n")
    moved = checkout.rename(tmp_path_factory.mktemp("elsewhere") / "moved")
    assert make(moved, "run").stdout.startswith("setup run\n")


def test_neural_voices_are_set_up_and_their_models_asked_for_before_anything_runs(checkout):
    said = make(
        checkout, "run", "VOICE=neural", ear="#!/bin/sh\nenv | grep ^JARVIS_BACKEND | sort"
    ).stdout
    assert said == (
        "setup neural\nbackend models fetch tiny.en\nbackend models fetch joe\n"
        "JARVIS_BACKEND_STT__ENGINE=faster-whisper\nJARVIS_BACKEND_TTS__ENGINE=piper\n"
    )
    words = {**environment(), "FETCHED": "1"}
    refused = run(["make", "run", "VOICE=neural"], check=False, env=words, cwd=checkout)
    assert refused.returncode != 0
    assert refused.stdout == "backend models fetch tiny.en\n"


def test_arguments_do_not_reach_a_make_that_the_program_starts(checkout):
    expected = ["outer run --first", "inner run", "ARGS is [], "]
    said = make(checkout, "run", "ARGS=--first", ear=MAKING_EAR).stdout
    assert said.splitlines()[1:] == expected
    words = {**environment(MAKING_EAR), "ARGS": "--first"}
    assert run(["make", "run"], env=words, cwd=checkout).stdout.splitlines() == expected


def test_a_failure_is_a_failure(checkout):
    assert make(checkout, "run", ear="#!/bin/sh\nexit 78\n").returncode != 0


def test_ctrl_c_ends_it_quietly(checkout):
    program = subprocess.Popen(
        ["env", "--default-signal=INT", "make", "run"],  # as in a terminal
        cwd=checkout,
        env=environment(LISTENING_EAR),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stdout
    while program.stdout.readline() != "listening\n":
        assert program.poll() is None
    os.killpg(program.pid, signal.SIGINT)  # what a terminal does
    out, err = program.communicate(timeout=20)
    assert out == "bye\n"
    # What make itself says depends on which of the two ends first.
    assert [line for line in err.splitlines() if not line.startswith("make: *** ")] == []
