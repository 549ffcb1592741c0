"""Pages that are made from the code say what the code says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jarvis_ear import cli
from jarvis_ear.cli import VERBS
from jarvis_ear.config import Config
from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.delivery.transitions import DeliveryStage
from jarvis_ear.hearing.events import State
from jarvis_ear.schema import SCHEMA
from jarvis_ear.wires import socketio

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def written(tool: str, *arguments: str | Path) -> str:
    """Return what a tool of `make docs` prints."""
    words = [sys.executable, ROOT / "tools" / tool, *arguments]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout


@pytest.mark.parametrize(
    ("tool", "page"),
    [
        ("import_diagram.py", "docs/architecture.md"),
        ("code_index.py", "docs/glossary.md"),
        ("delivery_states.py", "docs/delivery.md"),
        ("backend_page.py", "docs/backend.md"),
        ("metrics_page.py", "docs/metrics.md"),
        ("licences.py", "LICENSES.md"),
        ("man_page.py", "man/jarvis-ear.1"),
        ("man_page.py", "man/jarvis-backend.1"),
    ],
)
def test_a_generated_page_is_up_to_date(tool, page):
    assert (ROOT / page).read_text() == written(tool, ROOT / page), "run `make docs`"


def test_the_state_machine_is_up_to_date():
    made = written("state_machine.py")
    assert (DOCS / "state-machine.md").read_text() == made, "run `make docs`"
    assert all(f"| `{state}` |" in made for state in State)


def test_the_page_of_delivery_has_every_verdict_and_cause():
    page = (DOCS / "delivery.md").read_text()
    assert all(f"| `{verdict}` |" in page for verdict in Verdict)
    assert all(f"| `{cause}` |" in page for cause in Cause if cause)
    assert "stateDiagram-v2" in page


@pytest.mark.parametrize(
    ("tool", "name"), [("journal_page.py", "journal.md"), ("delivery_states.py", "delivery.md")]
)
@pytest.mark.parametrize(
    "mark", ["to the end: written by `make docs` from x", "on: made by others"]
)
def test_the_generated_part_stands_in_a_page_once_whatever_its_mark_was(tool, name, mark, tmp_path):
    page = (DOCS / name).read_text()
    by_hand, _, generated = page.partition("<!-- From here")
    assert "<!-- From here" not in generated
    older = tmp_path / name
    older.write_text(f"{by_hand}<!-- From here {mark}; do not edit. -->\n\n## Old\n\n{page}")
    assert written(tool, older) == page


def test_the_example_in_the_readme_is_a_valid_configuration():
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    config = Config.model_validate(tomllib.loads(example))
    assert config != Config()


def test_variables_in_the_readme_exist():
    known = set(SCHEMA.by_variable)
    shown = set(re.findall(r"JARVIS_EAR_\w*[A-Z]", (ROOT / "README.md").read_text()))
    assert shown
    assert shown - known == set()


def test_messages_that_the_first_help_quotes_are_said_by_the_program():
    quoted = re.findall(r'^\| "([^"]+)" \|', (ROOT / "README.md").read_text(), re.MULTILINE)
    source = "".join(file.read_text() for file in (ROOT / "jarvis-ear").rglob("*.py"))
    assert quoted
    assert [message for message in quoted if message not in source] == []


def test_options_that_the_readme_shows_exist(capsys):
    shown = set(re.findall(r"`(--[\w-]+)", (ROOT / "README.md").read_text()))
    for verb in VERBS:
        assert cli.main([verb, "--help"]) == 0
    known = capsys.readouterr().out
    assert shown
    assert [option for option in shown if f"{option} " not in known] == []


def test_the_protocol_page_names_every_event_of_the_wire():
    page = (DOCS / "protocols.md").read_text()
    events = {
        value
        for value in vars(socketio).values()
        if isinstance(value, str) and value.startswith("voice:")
    }
    assert len(events) > 10
    assert [event for event in events if f"| `{event}` |" not in page] == []


def test_the_protocol_page_names_every_stage_and_every_verdict():
    page = (DOCS / "protocols.md").read_text()
    stages = [stage for stage in DeliveryStage if stage is not DeliveryStage.OVER]
    assert [stage for stage in stages if f"| {stage} |" not in page] == []
    assert [verdict for verdict in Verdict if f"**{verdict}**" not in page] == []


GLOSSARY_TERMS = [
    "sample",
    "block",
    "frame",
    "step",
    "chunk",
    "onset",
    "hangover",
    "pre-roll",
    "endpointing",
    "utterance",
    "score",
    "threshold",
    "patience",
    "detection",
    "turn",
    "follow-up",
    "session",
    "barge-in",
    "earcon",
    "reply",
    "gap",
    "satellite",
    "outbox",
    "refractory period",
]


def test_the_glossary_explains_each_of_our_words_once():
    rows = re.findall(r"^\| \*\*([\w -]+)\*\* \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert [term for term in GLOSSARY_TERMS if term not in rows] == []


def test_the_glossary_names_no_class_that_is_gone():
    terms = (DOCS / "glossary.md").read_text().partition("## Index of the code")[0]
    code = "".join(path.read_text() for path in (ROOT / "jarvis-ear" / "src").rglob("*.py"))
    words = set(re.findall(r"\w+", code))
    assert set(re.findall(r"`([A-Z][a-z]\w+)`", terms)) - words == set()
