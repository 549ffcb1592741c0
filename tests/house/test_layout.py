"""Things are where people look for them."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "jarvis-ear" / "src"
VERBS = ["run", "test", "lint", "types", "docs", "bench", "clean", "setup", "lock"]


PLACES = [
    *(".ci/run", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md"),
    *("docs/architecture.md", "docs/decisions/README.md", "pyproject.toml", "requirements.txt"),
    *("SECURITY.md", "LICENSES.md", ".editorconfig", ".github/ISSUE_TEMPLATE/problem.md"),
    *("jarvis-ear/src/jarvis_ear/py.typed", "jarvis-ear/src/jarvis_backend/py.typed"),
]


def test_the_places_that_people_look_for_are_files():
    assert [place for place in PLACES if not (ROOT / place).is_file()] == []


@pytest.mark.parametrize("script", [".ci/run", "tools/setup.sh", "tools/lock.sh"])
def test_scripts_are_executable_and_parse(script):
    assert (ROOT / script).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_every_folder_of_the_source_is_a_package():
    folders = {module.parent for module in SRC.glob("jarvis_*/**/*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_make_knows_the_verbs():
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(VERBS) <= {verb for line in phony for verb in line.split()}


def test_the_hooks_of_a_commit_are_those_of_make_lint():
    hooks = re.findall(r"entry: (\S+(?: -m \S+)?)", (ROOT / ".pre-commit-config.yaml").read_text())
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    used = re.findall(r"(?:\$\(PYTHON\) -m|\.venv/bin/)(?: |)([\w-]+)", recipe)
    assert [re.split(r"[ /]", hook)[-1] for hook in hooks] == used


def test_the_workflow_runs_our_script_on_every_python_that_is_declared():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert re.search(r"^ +- run: \.ci/run$", workflow, re.MULTILINE)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    pythons = [kind.rpartition(" ")[2] for kind in declared if re.search(r":: 3\.\d+$", kind)]
    assert re.findall(r'"(3\.\d+)"', workflow) == pythons


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a git checkout has the list")
def test_the_source_distribution_has_every_folder():
    grafted = re.findall(r"^graft (\S+)$", (ROOT / "MANIFEST.in").read_text(), re.MULTILINE)
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    assert {name.split("/")[0] for name in listed if "/" in name} == set(grafted)


def test_the_project_names_its_programs_and_gives_a_reason_for_every_exception_from_a_rule():
    text = (ROOT / "pyproject.toml").read_text()
    assert set(tomllib.loads(text)["project"]["scripts"]) == {"jarvis-ear", "jarvis-backend"}
    lines = text.splitlines()
    ignores = [line for line in lines if re.match(r'^  "[A-Z]+\d*"(, "[A-Z]+\d*")*,', line)]
    assert ignores
    assert [line for line in ignores if "#" not in line] == []


def test_every_noqa_has_its_reason():
    found = [
        f"{module.relative_to(ROOT)}:{number}"
        for folder in (SRC, ROOT / "tests", ROOT / "tools")
        for module in folder.rglob("*.py")
        for number, line in enumerate(module.read_text().splitlines(), start=1)
        if re.search(r"#\s*noqa", line)
        and not re.search(r"# noqa: [A-Z0-9, ]+ - \S", line)
        and module != Path(__file__)
    ]
    assert found == []
