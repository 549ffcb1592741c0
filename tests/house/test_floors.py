"""The floors hold, and the contracts that say so do bite."""

import ast
import shutil
import sys
from pathlib import Path

import pytest

from fakes.program import run

ROOT = Path(__file__).parents[2]
SRC = ROOT / "jarvis-ear" / "src"
EAR = SRC / "jarvis_ear"

PURE = ["audio", "page", "hearing", "wires", "delivery", "journal"]
PURE += ["units.py", "errors.py", "config.py"]
FOREIGN = {"numpy", "soxr", "pydantic", "aiohttp", "wyoming"}
"""aiohttp is for the handshakes of the wires: a session is announced over HTTP. wyoming has the
classes of its events."""

UNWELCOME = {"asyncio", "logging", "select", "signal", "socket", "subprocess", "threading", "time"}


THREADS = {EAR / "hearing" / "ear_thread.py", EAR / "hearing" / "inbox.py"}
"""The thread that runs the pure ear, and the queue in front of it."""


def modules_of(place: str) -> list[Path]:
    path = EAR / place
    return [path] if path.is_file() else sorted(set(path.rglob("*.py")) - THREADS)


def imports_of(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import():
                names.update(alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module.partition(".")[0])
    return names


@pytest.mark.parametrize("place", PURE)
def test_floors_0_and_1_import_the_standard_library_and_arithmetic_only(place):
    allowed = (sys.stdlib_module_names - UNWELCOME) | FOREIGN | {"jarvis_ear"}
    strangers = {
        f"{file.relative_to(EAR)}: {name}"
        for file in modules_of(place)
        for name in imports_of(file) - allowed
    }
    assert strangers == set()


BREACHES = {
    "Imports only point down": (
        "jarvis_ear/units.py",
        "import jarvis_ear.audio.frames, jarvis_ear.hearing",
    ),
    "Hearing knows no wire": ("jarvis_ear/hearing/__init__.py", "import jarvis_ear.wires.socketio"),
    "The ear does without the backend": ("jarvis_ear/log/__init__.py", "import jarvis_backend"),
    "The backend takes only": ("jarvis_backend/__init__.py", "import jarvis_ear.config"),
    "Floors 0 and 1 do no I/O": ("jarvis_ear/audio/__init__.py", "import socket"),
}


def test_every_contract_is_broken_by_its_breach(tmp_path):
    lint = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert lint, "import-linter is part of the development lock"
    shutil.copytree(
        SRC, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for file, line in BREACHES.values():
        with (tmp_path / "src" / file).open("a") as module:
            module.write(f"\n{line}\n")
    verdict = run(
        [lint, "--no-logo", "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        check=False,
        env={"PYTHONPATH": str(tmp_path / "src"), "PATH": ""},
        cwd=tmp_path / "src",
    )
    assert verdict.returncode == 1, verdict.stdout + verdict.stderr
    broken = [line for line in verdict.stdout.splitlines() if "BROKEN" in line]
    assert [name for name in BREACHES if not any(line.startswith(name) for line in broken)] == []
