"""The Debian package asks for the Python that its libraries were made for."""

import shutil
from pathlib import Path

import pytest

from fakes.program import run

RULES = Path(__file__).parents[2] / "debian" / "rules"

pytestmark = pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")


def rules(*words: str, folder: Path) -> str:
    return run(["make", "--silent", "--file", RULES, *words], cwd=folder).stdout


@pytest.mark.parametrize("minor", [11, 13])
def test_the_bound_is_what_was_built(minor, tmp_path):
    """Debian 12 has Python 3.11, Debian 13 has 3.13, whatever this machine has."""
    releases = tmp_path / "debian" / "jarvis-ear" / "usr" / "lib" / "jarvis-ear" / "releases"
    (releases / "0.1.0-aaaaaaaa" / "lib" / f"python3.{minor}").mkdir(parents=True)
    bound = f"python3 (>= 3.{minor}~), python3 (<< 3.{minor + 1}~)\n"
    assert rules("bound", folder=tmp_path) == bound


def test_what_a_newer_python_puts_into_an_environment_stays_outside(tmp_path):
    """Python 3.13 makes a .gitignore there, of which lintian warns."""
    planned = rules("--dry-run", "override_dh_auto_install", folder=tmp_path)
    assert "releases/*/.gitignore" in planned


@pytest.mark.parametrize(("debhelper", "moves"), [("13.11.4", True), ("13.24.2", False)])
def test_units_stand_where_that_debian_wants_them(debhelper, moves, tmp_path):
    looks_in_lib = run(["dpkg", "--compare-versions", debhelper, "lt", "13.11.6"], check=False)
    words = f"LOOKS_IN_LIB={'yes' if looks_in_lib.returncode == 0 else ''}"
    planned = rules("--dry-run", words, "override_dh_auto_install", folder=tmp_path)
    assert ("/lib/systemd/system debian/jarvis-ear/lib/systemd/system" in planned) is moves
