"""A release is made from the running packages: a reproducible wheel that pip accepts."""

import io
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from jarvis_ear import __version__
from jarvis_ear.service.release import PAGES, PROGRAMS, running_release

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def release():
    return running_release()


def test_a_release_has_both_packages_the_locks_and_the_units(release):
    names = zipfile.ZipFile(io.BytesIO(release.wheel)).namelist()
    share = f"jarvis_ear-{__version__}.data/data/share/jarvis-ear"
    shared = ("requirements.txt", "systemd/jarvis-ear.service", "docs/journal.md")
    assert {f"{share}/{name}" for name in shared} <= set(names)
    manuals = f"jarvis_ear-{__version__}.data/data/share/man/man1"
    assert {f"{manuals}/{program}.1" for program in PROGRAMS} <= set(names)
    modules = {"jarvis_ear/__main__.py", "jarvis_backend/__main__.py", "jarvis_ear/py.typed"}
    assert modules <= set(names)
    assert not [name for name in names if name.endswith(".pyc")]


def test_a_release_is_reproducible(release):
    assert running_release().wheel == release.wheel
    assert release.name("cpython-311", ()) == running_release().name("cpython-311", ())
    assert release.name("cpython-311", ("a",)) != release.name("cpython-311", ("b",))


def test_the_project_declares_its_programs_and_the_files_of_the_installer():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["scripts"] == PROGRAMS
    data = pyproject["tool"]["setuptools"]["data-files"]
    assert data["share/jarvis-ear/systemd"] == ["systemd/*"]
    assert data["share/man/man1"] == ["man/*.1"]
    assert {path.name for path in (ROOT / "man").iterdir()} == {f"{name}.1" for name in PROGRAMS}
    assert data["share/jarvis-ear/docs"] == [f"docs/{page}" for page in PAGES]
    locks = {f"requirements{kind}.txt" for kind in ("", "-backend", "-neural", "-systemd")}
    assert set(data["share/jarvis-ear"]) == locks


def test_pip_installs_a_release_that_can_be_made_again_from_there(release, tmp_path):
    wheel = tmp_path / release.wheel_name
    wheel.write_bytes(release.wheel)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", tmp_path / "there", "--no-compile", wheel], check=True)
    there = tmp_path / "there"
    again = (
        "import sys, sysconfig; sysconfig.get_path = lambda name: sys.argv[1];"
        "from jarvis_ear.service.release import running_release;"
        "sys.stdout.buffer.write(running_release().wheel)"
    )
    made = subprocess.run(
        [sys.executable, "-c", again, there],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": str(there)},
    )
    assert made.stdout == release.wheel
