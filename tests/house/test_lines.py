"""No line of the project knows the machine it was written on, or postpones something."""

import re
from pathlib import Path

import pytest

from fakes.program import run

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="only a git checkout knows which files are the project's"
)

FORBIDDEN = {
    "a path of one machine": r"/(?:root|home/\w+|Users/\w+)/[\w.-]",
    "a place that packages come from": (
        r"--(?:extra-)?index-url|--find-links(?!\W+dist\b)|--trusted-host"  # dist: what we build
        r"|(?:pypi|pythonhosted|npmjs|debian|artifactory)\.(?:org|com|net)"
    ),
    "something postponed": r"\b(?:" + "TO" + "DO|FIX" + "ME)" + r"\b",
}

ALLOWED = {"a place that packages come from": {"jarvis-ear/src/jarvis_backend/fetch.py"}}
"""Files that must say it: the owner of a machine reads there what a model is fetched from."""


def tracked_files() -> list[Path]:
    """Every text file that git tracks or would add."""
    options = ("-z", "--cached", "--others", "--exclude-standard")
    names = run(["git", "-C", str(ROOT), "ls-files", *options]).stdout
    files = (ROOT / name for name in names.split("\0") if name)
    return [file for file in files if file.is_file() and file != Path(__file__)]


def lines_with(pattern: str) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for file in tracked_files()
        if b"\0" not in file.read_bytes()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1)
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what):
    found = lines_with(FORBIDDEN[what])
    assert [line for line in found if line.partition(":")[0] not in ALLOWED.get(what, ())] == []


def test_the_patterns_and_the_files_are_there():
    assert len(tracked_files()) > 20
    samples = {
        "a path of one machine": "see /home/ann/notes and more",
        "a place that packages come from": "--index-url=x",
        "something postponed": "# TO" + "DO later",
    }
    assert all(re.search(FORBIDDEN[what], line) for what, line in samples.items())
