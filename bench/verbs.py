"""Cost of each verb, compared with a Python that imports socket and json."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bench.material import ROOT, Collection
from bench.scale import Scale
from bench.table import Figure, Row, Table
from jarvis_ear.control.server import ControlServer

CPU_MS: Final = 120.0
RESIDENT_MIB: Final = 25.0

SCRIPT: Final = str(Path(sys.executable).with_name("jarvis-ear"))
BASELINE: Final = (sys.executable, "-I", "-c", "import socket, json")

LIGHT: Final = (
    *("version", "status", "mute", "unmute", "toggle", "stop", "listen"),
    *("volume", "volume 40", "say Dinner", "--help"),
)
OTHERS: Final = ("run --help", "config", "check", "devices")
"""Verbs without a target, for comparison."""

STARTS: Final = 5
"""Starts of each command per one of ``Scale.starts``: each takes hundredths of a second."""

REPORT: Final[Mapping[str, object]] = {
    "state": "idle",
    "hearing": True,
    "heard_s_ago": 0.1,
    "deaf_s_today": 0.0,
    "muted_by": [],
    "stuck": [],
    "turns": [],
}

STARTER: Final = """
import json, os, sys
quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
for command in json.loads(sys.argv[1]):
    child = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    status, used = os.wait4(child, 0)[1:]
    told = [os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss]
    print(json.dumps(told), flush=True)
"""
"""Starts the commands one after the other. A separate process, because the system counts the memory
of the parent at a start as memory of the child, and the bench is large."""


def verbs(scale: Scale, _collection: Collection) -> list[Table]:
    """Start every verb with an ear that answers at once."""
    commands: dict[str, tuple[str, ...]] = {"python -I -c 'import socket, json'": BASELINE}
    commands |= {f"jarvis-ear {verb}": (SCRIPT, *verb.split()) for verb in (*LIGHT, *OTHERS)}
    found = _measured(list(commands.values()), STARTS * scale.starts)
    rows = [_row(name, found[command]) for name, command in commands.items()]
    return [
        Table(
            "Cost of a verb",
            ("command", "CPU", "resident at most"),
            rows,
            f"a light verb: {CPU_MS:.0f} ms and {RESIDENT_MIB:.0f} MiB",
            [f"medians of {STARTS * scale.starts} starts, the commands in turn"],
        )
    ]


def _row(name: str, starts: Sequence[tuple[float, float]]) -> Row:
    cpu_ms, resident_mib = (median(figures) for figures in zip(*starts, strict=True))
    is_light = name.removeprefix("jarvis-ear ") in LIGHT
    return (
        name,
        Figure(cpu_ms, ".0f", " ms", CPU_MS if is_light else None),
        Figure(resident_mib, ".1f", " MiB", RESIDENT_MIB if is_light else None),
    )


def _measured(
    commands: Sequence[tuple[str, ...]], starts: int
) -> dict[tuple[str, ...], list[tuple[float, float]]]:
    """Return CPU milliseconds and MiB for every start of every command."""
    found: dict[tuple[str, ...], list[tuple[float, float]]] = {each: [] for each in commands}
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlServer(Path(folder), _answer, take=lambda _name, _body: {"said": True}),
    ):
        for _ in range(starts):
            done = subprocess.run(  # noqa: S603 - the commands stand above
                [sys.executable, "-I", "-S", "-c", STARTER, json.dumps(commands)],
                env={**os.environ, "RUNTIME_DIRECTORY": folder},
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=True,
            )
            for command, line in zip(commands, done.stdout.splitlines(), strict=True):
                status, cpu_s, resident_kib = json.loads(line)
                if status:
                    raise ChildProcessError(f"{command} ended with status {status}")
                found[command].append((1000 * cpu_s, resident_kib / 1024))
    return found


def _answer(word: str) -> Mapping[str, object]:
    if word == "status":
        return REPORT
    return {"muted_by": [], "volume": 40, "stored": True}
