"""What docs/architecture.md says of adding a wire names what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
SECTION = PAGE.partition("## Add a wire\n")[2].partition("\n## ")[0]
STEPS = re.split(r"^\d+\. ", SECTION, flags=re.MULTILINE)[1:]
PATHS = re.findall(r"`([\w-]+(?:/[\w.-]+)+|config\.py)`", SECTION)
NAMES = re.findall(r"`(\w+)` in\s+`([^`]+)`", SECTION)


def place(path):
    here = ROOT / path
    return here if here.exists() else ROOT / "jarvis-ear" / "src" / "jarvis_ear" / path


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.split()[1].strip(".:"))
def test_each_step_names_a_file(step):
    assert any(f"`{path}`" in step for path in PATHS)


def test_each_path_exists():
    assert len(set(PATHS)) >= len(STEPS) > 1
    assert [path for path in PATHS if not place(path).exists()] == []


@pytest.mark.parametrize(("name", "path"), NAMES)
def test_each_name_is_defined_there(name, path):
    defined = rf"^\s*(?:(?:async )?def |class )?{name}\b\s*[:=(]"
    assert re.search(defined, place(path).read_text(), re.MULTILINE)
