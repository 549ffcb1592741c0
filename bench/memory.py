"""Memory, and the time from the start of a process until it hears."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from bench.material import ROOT, Collection, quiet_room
from bench.scale import Scale
from bench.table import Figure, Row, Table
from jarvis_ear.audio.wav import pcm_to_wav

KIB: Final = 1024

NOBODY: Final = "http://127.0.0.1:9"
"""The discard port: the ear is ready without a backend too."""

HEARING: Final = re.compile(r"\bhearing\b")
"""Matches the line that the daemon logs at the first block of sound."""


def memory(scale: Scale, _collection: Collection) -> list[Table]:
    """Start processes, and measure their start and their resident memory."""
    bare = [_start_of_numpy() for _ in range(scale.starts)]
    heard = _resident(scale.memory_s)
    ready = [heard["ready"], *(_resident(0)["ready"] for _ in range(scale.starts - 1))]
    grown = heard["heard"] - heard["material"]
    rows: list[Row] = [
        ("Python and numpy: start to exit", _s(bare), "", ""),
        ("models loaded and warm, with all that the daemon imports", _s(ready), "", ""),
        ("once loaded", "", _mib(heard["loaded"]), ""),
        ("at most until then", "", _mib(heard["most"]), ""),
        (f"after {scale.memory_s} s of a home", "", _mib(heard["heard"]), _mib(grown)),
        _daemons(scale.starts),
    ]
    return [
        Table(
            "Time to ready and memory",
            ("what", "median of starts", "resident", "grown"),
            rows,
            "",
            ["grown: while hearing; the rest is the recordings"],
        )
    ]


def _start_of_numpy() -> float:
    began = time.perf_counter()
    with _running([sys.executable, "-c", "import numpy"]) as process:
        process.wait()
        return time.perf_counter() - began


def _resident(length_s: int) -> dict[str, float]:
    """Return the process's own report, and when it was ready."""
    began = time.perf_counter()
    found: dict[str, float] = {}
    with _running([sys.executable, "-m", "bench.resident", str(length_s)]) as process:
        for line in _lines(process):
            told = json.loads(line)
            found.setdefault("ready", time.perf_counter() - began)
            found[told["what"]] = told["VmRSS"]
            found.setdefault("most", told["VmHWM"])
    if "heard" not in found:
        raise ChildProcessError("the measured process ended early")
    return found


def _daemon(sound: Path) -> tuple[float, float]:
    """Start the daemon: return the seconds until it logs that it hears, and its memory then."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "jarvis_ear", "run", "--input", str(sound)]
    with _running([*command, "--backend-url", NOBODY], stderr=subprocess.STDOUT) as process:
        said = []
        for line in _lines(process):
            said.append(line)
            if HEARING.search(line):
                return time.perf_counter() - began, _resident_mib(process.pid)
    raise ChildProcessError(f"jarvis-ear ended before it heard anything: {''.join(said)}")


def _daemons(count: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "quiet.wav"
        sound.write_bytes(pcm_to_wav(quiet_room("daemon", 2).astype("<i2").tobytes()))
        starts = [_daemon(sound) for _ in range(count)]
    ready, resident = zip(*starts, strict=True)
    return ("`jarvis-ear run`, until it hears", _s(ready), _mib(median(resident)), "")


@contextmanager
def _running(command: list[str], stderr: int | None = None) -> Iterator["subprocess.Popen[str]"]:
    """Run a program of this project, and end it."""
    with subprocess.Popen(  # noqa: S603 - the commands stand above
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _lines(process: "subprocess.Popen[str]") -> Iterable[str]:
    return process.stdout or ()


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / KIB if found else float("nan")


def _s(durations: Sequence[float]) -> Figure:
    return Figure(median(durations), ".2f", " s")


def _mib(size: float) -> Figure:
    return Figure(size, ".0f", " MiB")
