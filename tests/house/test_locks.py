"""The lock files pin what pyproject.toml asks for, whole and with hashes, and nothing unwanted."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from house.test_floors import imports_of

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
LOCKS = [
    "requirements.txt",
    "requirements-backend.txt",
    "requirements-neural.txt",
    "requirements-dev.txt",
]


def pins(*locks: str) -> list[Requirement]:
    lines = [line for lock in locks for line in (ROOT / lock).read_text().splitlines()]
    return [
        Requirement(line.rstrip(" \\")) for line in lines if re.match(r"[a-z]", line, re.IGNORECASE)
    ]


OURS = ("jarvis-ear[", "jarvis-ear-models")  # of this repository; the locks have openwakeword


def unmet(wanted: list[str], *locks: str) -> list[str]:
    """Those requirements that no pin satisfies."""
    pinned = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins(*locks)
    }
    asked = [(text, Requirement(text)) for text in wanted if not text.startswith(OURS)]
    return [
        text
        for text, each in asked
        if not each.specifier.contains(pinned.get(canonicalize_name(each.name), "0"))
    ]


def test_the_locks_pin_all_that_each_extra_needs():
    models = PYPROJECT["dependency-groups"]["models"]
    assert unmet([*PROJECT["dependencies"], *models], "requirements.txt") == []
    extras = PROJECT["optional-dependencies"]
    assert unmet(extras["backend"], *LOCKS[:2]) == []
    assert unmet([*extras["whisper"], *extras["piper"]], *LOCKS[:3]) == []
    assert unmet([*extras["dev"], *extras["plot"]], *LOCKS) == []


def test_pip_and_a_device_get_nothing_that_only_openwakeword_would_use():
    asked = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert asked & {"openwakeword", "scipy", "scikit-learn"} == set()
    names = {pin.name for pin in pins("requirements.txt")}
    assert names & {"scipy", "scikit-learn", "tqdm", "joblib", "tflite-runtime", "fastapi"} == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock):
    entries = re.split(r"\n(?=[A-Za-z])", (ROOT / lock).read_text())[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_nothing_is_pinned_twice_for_one_python():
    names = [f"{pin.name};{pin.marker}" for pin in pins(*LOCKS)]
    assert len(names) == len(set(names))


OPTIONAL = {"systemd", "faster_whisper", "piper", "matplotlib"}  # used where they are installed


@pytest.mark.parametrize(
    ("package", "extra"),
    [("jarvis_ear", []), ("jarvis_backend", PROJECT["optional-dependencies"]["backend"])],
)
def test_a_package_declares_what_it_imports(package, extra):
    wanted = [*PROJECT["dependencies"], *extra]
    declared = {canonicalize_name(Requirement(text).name) for text in wanted}
    files = (ROOT / "jarvis-ear" / "src" / package).rglob("*.py")
    names = set().union(*(imports_of(file) for file in files))
    foreign = names - sys.stdlib_module_names - OPTIONAL - {"jarvis_ear", "jarvis_backend"}
    assert foreign
    makers = packages_distributions()
    brought = {name: {canonicalize_name(one) for one in makers.get(name, [])} for name in foreign}
    assert {name for name in foreign if not declared & brought[name]} == set()
