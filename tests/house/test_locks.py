"""The lock files pin what pyproject.toml asks for, whole and with hashes, and nothing unwanted."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ["requirements.txt", "requirements-backend.txt", "requirements-dev.txt"]


def pins(*locks: str) -> list[Requirement]:
    lines = [line for lock in locks for line in (ROOT / lock).read_text().splitlines()]
    return [
        Requirement(line.rstrip(" \\")) for line in lines if re.match(r"[a-z]", line, re.IGNORECASE)
    ]


def unmet(wanted: list[str], *locks: str) -> list[str]:
    """Those requirements that no pin satisfies."""
    pinned = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins(*locks)
    }
    return [
        text
        for text in wanted
        if not Requirement(text).specifier.contains(
            pinned.get(canonicalize_name(Requirement(text).name), "0")
        )
    ]


def test_a_device_gets_all_that_the_daemon_needs():
    assert unmet(PROJECT["dependencies"], "requirements.txt") == []


@pytest.mark.parametrize(("extra", "locks"), [("backend", LOCKS[:2]), ("dev", LOCKS)])
def test_extras_are_pinned_too(extra, locks):
    assert unmet(PROJECT["optional-dependencies"][extra], *locks) == []


def test_a_device_gets_nothing_that_only_openwakeword_would_use():
    names = {pin.name for pin in pins("requirements.txt")}
    assert names & {"scipy", "scikit-learn", "tqdm", "joblib", "tflite-runtime", "fastapi"} == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock):
    entries = re.split(r"\n(?=[A-Za-z])", (ROOT / lock).read_text())[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_nothing_is_pinned_twice_for_one_python():
    names = [f"{pin.name};{pin.marker}" for pin in pins(*LOCKS)]
    assert len(names) == len(set(names))
