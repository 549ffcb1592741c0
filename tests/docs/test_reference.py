"""Pages that are made from the code say what the code says."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from jarvis_ear import cli
from jarvis_ear.config import Config
from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.delivery.transitions import DeliveryStage
from jarvis_ear.hearing.events import State
from jarvis_ear.verbs import VERBS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()


def made_by(tool, *arguments):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), *map(str, arguments)],
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("tool", "page", "reads_page"),
    [
        ("state_machine.py", "docs/state-machine.md", False),
        ("import_diagram.py", "docs/architecture.md", True),
        ("delivery_states.py", "docs/delivery.md", True),
        ("man_page.py", "debian/jarvis-ear.1", True),
    ],
)
def test_a_generated_page_is_up_to_date(tool, page, reads_page):
    made = made_by(tool, *[ROOT / page] * reads_page)
    assert (ROOT / page).read_text() == made, "run `make docs`"


def test_the_generated_tables_have_every_state_verdict_and_cause():
    states, delivery = ((DOCS / name).read_text() for name in ("state-machine.md", "delivery.md"))
    assert all(f"| `{state}` |" in states for state in State)
    assert all(f"| `{each}` |" in delivery for each in [*Verdict, *Cause] if each)
    assert "stateDiagram-v2" in delivery


@pytest.mark.parametrize(
    ("tool", "name"), [("journal_page.py", "journal.md"), ("delivery_states.py", "delivery.md")]
)
@pytest.mark.parametrize(
    "mark", ["to the end: written by `make docs` from x", "on: made by others"]
)
def test_the_generated_part_is_in_a_page_once_whatever_its_mark_was(tool, name, mark, tmp_path):
    page = (DOCS / name).read_text()
    by_hand, _, generated = page.partition("<!-- From here")
    assert "<!-- From here" not in generated
    older = tmp_path / name
    older.write_text(f"{by_hand}<!-- From here {mark}; do not edit. -->\n\n## Old\n\n{page}")
    assert made_by(tool, older) == page


def options(section: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from options(kind, f"{path}{name}.")
        else:
            yield f"{path}{name}"


VARIABLES = {f"JARVIS_EAR_{option.replace('.', '__').upper()}" for option in options(Config)}


def test_every_option_is_in_the_reference():
    text = (DOCS / "configuration.md").read_text()
    assert [variable for variable in VARIABLES if variable not in text] == []


def test_the_example_in_the_readme_is_a_valid_configuration():
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    config = Config.model_validate(tomllib.loads(example))
    assert config != Config()


def test_variables_in_the_readme_exist():
    shown = set(re.findall(r"JARVIS_EAR_\w*[A-Z]", README))
    assert shown
    assert shown <= VARIABLES


def test_messages_that_the_first_help_quotes_are_said_by_the_program():
    quoted = re.findall(r'^\| "([^"]+)" \|', README, re.MULTILINE)
    source = "".join(file.read_text() for file in (ROOT / "jarvis-ear").rglob("*.py"))
    assert quoted
    assert [message for message in quoted if message not in source] == []


def test_options_that_the_readme_shows_exist(capsys):
    shown = set(re.findall(r"`(--[\w-]+)", README))
    for verb in VERBS:
        assert cli.main([verb, "--help"]) == 0
    known = capsys.readouterr().out
    assert shown
    assert [option for option in shown if f"{option} " not in known] == []


def test_the_protocol_page_names_every_stage_and_every_verdict():
    page = (DOCS / "protocols.md").read_text()
    stages = [stage for stage in DeliveryStage if stage is not DeliveryStage.OVER]
    assert [stage for stage in stages if f"| {stage} |" not in page] == []
    assert [verdict for verdict in Verdict if f"**{verdict}**" not in page] == []


GLOSSARY_TERMS = (
    "sample, block, frame, step, chunk, onset, hangover, pre-roll, endpointing, utterance, score,"
    " threshold, patience, detection, turn, follow-up, session, barge-in, earcon, reply, gap,"
    " satellite, outbox, refractory period"
)


def test_the_glossary_explains_each_term_once():
    rows = re.findall(r"^\| \*\*([\w -]+)\*\* \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(GLOSSARY_TERMS.split(", ")) <= set(rows)
