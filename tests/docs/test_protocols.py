"""docs/protocols.md lists what the codecs read and write; adding a wire names existing files."""

import dataclasses
import re
from pathlib import Path

import pytest

from jarvis_ear.config_checks import NEWS
from jarvis_ear.wires import event_bus, messages, realtime, session, socketio, voice_ws

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocols.md").read_text()

ROW_TYPES = re.compile(r"^\| `([a-z_:]+)(?: (\{[^`]*\}))?`", re.MULTILINE)
"""The type that a row of a table is about, and its fields if they stand beside it."""


def section(title):
    """The text under one heading, up to the next of its rank."""
    (found,) = re.findall(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    return found


def outside(name):
    """A field as its peer names it."""
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def fields(kind):
    """The fields of a message, as a table writes them."""
    names = ", ".join(outside(field.name) for field in dataclasses.fields(kind))
    return f"{{{names}}}" if names else ""


@pytest.mark.parametrize(
    ("title", "wire"),
    [
        ("The voice channel `/ws/voice`", voice_ws),
        ("The session stream `/ws/sessions/{id}`", session),
    ],
    ids=["voice-ws", "session"],
)
def test_every_message_of_a_wire_and_no_other_has_its_row(title, wire):
    tables = "\n".join(line for line in section(title).splitlines() if line.startswith("|"))
    codec = {
        name: fields(kind)
        for name, kind in {**wire.TO_SERVER.kinds, **wire.TO_CLIENT.kinds}.items()
    }
    missing = [
        name for name, said in codec.items() if f"`{f'{name} {said}'.strip()}`" not in tables
    ]
    assert missing == []
    rows = dict(ROW_TYPES.findall(tables))
    assert {name: codec.get(name) for name in rows} == rows


def test_the_events_of_the_voice_namespace_have_their_payloads():
    text = section("Jarvis voice `/voice`")
    chunk = messages.AudioChunk(b"")
    for sample in (messages.AudioStart(), chunk, messages.AudioEnd(), messages.Ping()):
        event, payload = socketio.encode(sample, "a")
        assert f"| `{event}` | `{{{', '.join(payload)}}}` |" in text
    names = [value for value in vars(socketio).values() if isinstance(value, str)]
    known = {name for name in names if name.startswith("voice:")}
    assert len(known) > 10
    assert set(re.findall(r"^\| `(voice:\w+)` \|", text, re.MULTILINE)) == known


def test_the_realtime_stream_names_every_type_state_and_code():
    text = section("The realtime stream `/ws/realtime`")
    assert [code for code in realtime.Code if f"| `{code}` |" not in text] == []
    named = set(re.findall(r'[`"](\w+)', text))
    assert [state for state in realtime.RealtimeState if state not in named] == []
    for message in (
        realtime.RealtimeTranscript("", is_final=True),
        realtime.Response(""),
        realtime.Audio("", 0),
    ):
        kind, payload = realtime._parts(message)
        assert f"| `{kind}` | `{{{', '.join(payload)}}}` |" in text
    (table, _) = text.split("| code | why |")
    kinds = {"status", "transcript", "response", "audio"}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == kinds


def test_the_bus_names_every_module_and_everything_an_ear_says():
    text = section("The event bus `/ws`")
    assert [module for module in event_bus.MODULES if f"`{module}`" not in text] == []
    assert [name for name in NEWS if f"| `{name}` | `{{agentId, turnId, " not in text] == []
    announced = event_bus.announced("a", enabled=True, by=(), now_s=0).data
    written = ", ".join(announced).replace("module", 'module: "audio"', 1)
    assert f"| `{event_bus.STATUS_CHANGED}` | `{{{written}}}` |" in text
    assert [kind for kind in event_bus.REQUESTS if f"| `{kind}` | `{{agentId}}`" not in text] == []
    control = fields(event_bus.ModuleControl)
    assert f"| `module_control {control}` |" in text


def test_every_wire_has_an_example_and_every_example_its_place():
    first_table = PAGE.partition("\n\n##")[0]
    assert len(re.findall(r"\(\.\./examples/\w+\.py\)", first_table)) == 5
    others = ("operations.md", "leds-and-buttons.md", "library.md")  # hooks, and the library
    pages = PAGE + "".join((ROOT / "docs" / name).read_text() for name in others)
    linked = set(re.findall(r"\(\.\./examples/(\w+\.py)\)", pages))
    assert linked == {path.name for path in (ROOT / "examples").glob("*.py")}


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
SECTION = ARCHITECTURE.partition("## Add a wire\n")[2].partition("\n## ")[0]
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


DECISIONS = ARCHITECTURE.partition("## Where it is decided\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("row", [row for row in DECISIONS.splitlines() if row.startswith("| w")])
def test_each_decision_is_where_the_page_says(row):
    names = re.findall(r"`(\w+)` in `([\w./]+)`", row)
    paths = re.findall(r"`([\w/]+\.py)`", row)
    assert paths
    assert [path for path in paths if not place(path).exists()] == []
    for name, path in names:
        assert re.search(rf"^(class )?{name}\b", place(path).read_text(), re.MULTILINE)
