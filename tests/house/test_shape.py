"""The shape of the code: how many modules there are, how long they are, and who imports them.

The limits are those of docs/decisions/0019-layout.md. A change that breaks one has to make the
design simpler first, or raise the limit there with a reason.
"""

import ast
import functools
import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "jarvis-ear" / "src"
TESTS = Path(__file__).parents[1]
MOST_TESTS = 1.35
"""Lines of tests for each line of code."""

SMALL = 60
"""Lines below which a module needs two importers, or to be a face."""

MARKER = 5
"""Lines up to which an ``__init__`` only marks a package and is no module of its own."""

FACES = {"__init__", "__main__"}
UNIMPORTED = {"jarvis_ear.journal.catalog"}
"""Used by a tool of the Makefile only."""


@dataclass(frozen=True)
class Limits:
    """The most that a package may grow to."""

    modules: int
    lines: int
    median: range
    longest: int
    import_share: float


LIMITS = {
    "jarvis_ear": Limits(206, 41_400, range(110, 181), 450, 0.072),
    "jarvis_backend": Limits(54, 9_150, range(110, 181), 450, 0.09),
}


def files_of(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name, without the markers of packages."""
    return {
        ".".join(path.relative_to(SRC).with_suffix("").parts): path
        for path in sorted((SRC / package).rglob("*.py"))
        if path.name != "__init__.py" or lines_of(path) > MARKER
    }


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


@functools.cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def import_lines(path: Path) -> int:
    nodes = nodes_of(path)
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in imports)


def imported_by(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)


def importers() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for package in LIMITS:
        for name, path in files_of(package).items():
            for imported in imported_by(path):
                found[imported].add(name)
    return found


@pytest.mark.parametrize("package", LIMITS)
def test_a_package_has_few_modules_and_lines(package):
    files, limits = files_of(package), LIMITS[package]
    assert len(files) <= limits.modules
    assert sum(map(lines_of, files.values())) <= limits.lines


@pytest.mark.parametrize("package", LIMITS)
def test_a_module_is_one_noun_of_a_readable_length(package):
    sizes = {name: lines_of(path) for name, path in files_of(package).items()}
    assert int(statistics.median(sizes.values())) in LIMITS[package].median
    assert [name for name, size in sizes.items() if size > LIMITS[package].longest] == []


@pytest.mark.parametrize("package", LIMITS)
def test_imports_are_a_small_part_of_the_code(package):
    files = files_of(package).values()
    assert sum(map(import_lines, files)) / sum(map(lines_of, files)) <= LIMITS[package].import_share


@pytest.mark.parametrize("package", LIMITS)
def test_a_small_module_has_several_importers(package):
    used = importers()
    lonely = [
        name
        for name, path in files_of(package).items()
        if lines_of(path) < SMALL
        and len(used[name]) < 2
        and name.rpartition(".")[2] not in FACES
        and name not in UNIMPORTED
    ]
    assert lonely == []


def test_the_tests_are_not_much_longer_than_the_code():
    tests = [path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts]
    code = [path for package in LIMITS for path in (SRC / package).rglob("*.py")]
    assert sum(map(lines_of, tests)) <= MOST_TESTS * sum(map(lines_of, code))


def test_a_class_name_has_one_meaning():
    defined: dict[str, list[str]] = defaultdict(list)
    for package in LIMITS:
        for name, path in files_of(package).items():
            for node in nodes_of(path):
                if isinstance(node, ast.ClassDef):
                    defined[node.name].append(name)
    assert {each: places for each, places in defined.items() if len(places) > 1} == {}
