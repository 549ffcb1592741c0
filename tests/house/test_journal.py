"""Log calls agree with the journal's vocabulary and its catalog."""

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.program import run
from jarvis_ear.journal import life, sound, turns
from jarvis_ear.journal.kind import FIELDS, Kind

ROOT = Path(__file__).parents[2]
EAR = ROOT / "jarvis-ear" / "src" / "jarvis_ear"
SPEAKING = [file for file in EAR.rglob("*.py") if file.parent.name != "journal"]
KINDS = {
    name: value
    for module in (life, turns, sound)
    for name, value in vars(module).items()
    if isinstance(value, Kind) and value not in turns.ENDINGS
}
NAME = re.compile(r"[A-Z][A-Z0-9_]+")


@functools.cache
def nodes_of(file: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(file.read_text())))


def recorded() -> Iterator[tuple[str, str, set[str]]]:
    """Every call of ``fields`` in the code: where, of which kind (or ""), with which fields."""
    for file in SPEAKING:
        for node in nodes_of(file):
            match node:
                case ast.Call(func=ast.Attribute(value=whose, attr="fields"), keywords=keywords):
                    kind = ast.unparse(whose).rpartition(".")[2]
                    fields = {word.arg for word in keywords if word.arg}
                    yield f"{file.name}:{node.lineno}", kind, fields


def extras() -> Iterator[tuple[str, str]]:
    """Every name in capitals that is a key of a dictionary, in a module that logs fields."""
    for file in SPEAKING:
        text = file.read_text()
        if "extra=" not in text and file.parent.name != "turn_trace":
            continue
        for node in nodes_of(file):
            match node:
                case ast.Dict(keys=keys):
                    names = [key.value for key in keys if isinstance(key, ast.Constant)]
                case ast.Subscript(slice=ast.Constant(value=str(name))):
                    names = [name]
                case _:
                    continue
            yield from ((file.name, name) for name in names if NAME.fullmatch(str(name)))


def test_every_field_that_is_used_is_declared_and_every_declared_one_is_used():
    assert len(list(recorded())) > 20
    assert len(list(extras())) > 20
    unknown = [(place, fields - set(FIELDS)) for place, _, fields in recorded()]
    assert [each for each in unknown if each[1]] == []
    time_of_json = ("redact.py", "TIME")  # the journal has its own time
    assert [each for each in extras() if each[1] not in FIELDS and each != time_of_json] == []
    text = "".join(file.read_text() for file in EAR.rglob("*.py") if file.name != "fields.py")
    stages = {name for name in FIELDS if name.startswith("LATENCY_")}
    assert [name for name in set(FIELDS) - stages if not re.search(rf"\b{name}\b", text)] == []


def test_every_kind_is_logged_somewhere():
    text = "".join(file.read_text() for file in SPEAKING)
    assert [name for name in KINDS if not re.search(rf"\b{name}\b", text)] == []
    assert set(turns.BY_OUTCOME.values()) == set(turns.ENDINGS)


def test_a_record_has_every_field_that_its_explanation_refers_to():
    missing = [
        (place, KINDS[kind].references - fields)
        for place, kind, fields in recorded()
        if kind in KINDS
    ]
    assert len(missing) > 15
    assert [each for each in missing if each[1]] == []


@pytest.mark.parametrize(
    ("tool", "made"),
    [
        (["journal_catalog.py"], ROOT / "systemd" / "jarvis-ear.catalog"),
        (["journal_page.py", str(ROOT / "docs" / "journal.md")], ROOT / "docs" / "journal.md"),
    ],
)
def test_what_is_made_from_the_declaration_is_up_to_date(tool, made):
    told = run([sys.executable, str(ROOT / "tools" / tool[0]), *tool[1:]]).stdout
    assert made.read_text() == told, "run `make docs`"
