"""The catalog of the journal: its kinds of records and their fields."""

import re
import shlex
import shutil
from collections import Counter

import pytest

from fakes.program import run
from jarvis_ear.cli import VERBS
from jarvis_ear.config import Config
from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.journal.catalog import KINDS, WIDTH, catalog
from jarvis_ear.journal.kind import (
    FIELDS,
    OF_EVENTS,
    OF_EVERY_RECORD,
    OF_TURNS,
    Kind,
    Remedy,
    advice_for,
    is_name,
)
from jarvis_ear.journal.turns import BY_OUTCOME, ENDINGS, FAILED, PASSWORD_REJECTED

PROGRAMS = {
    *("journalctl", "systemctl", "systemd-cgtop", "jarvis-ear"),
    *("alsamixer", "df", "ls", "pgrep"),
}
"""What a remedy may ask somebody to type."""

COMMANDS = [remedy.command for kind in KINDS for remedy in kind.remedies if remedy.command]


def test_every_kind_has_its_own_id():
    """Queries and alarms of other people hold them: a change here has to be meant."""
    ids = [kind.message_id for kind in KINDS]
    assert [one for one, count in Counter(ids).items() if count > 1] == []
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)
    ids = {f"{kind.event} {kind.outcome}".strip(): kind.message_id for kind in KINDS}
    assert ids["TurnEnded done"] == "bd904e87ab4049a8a8eb9683c06b21a9"
    assert ids["TurnEnded no_speech"] == "5746b6b41a4b4c5f802ad0b05d12f492"
    assert ids["Started"] == "e9eff41f7a164bf59f008f8ff14dd8e0"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.event}-{kind.message_id[:4]}")
def test_a_kind_refers_to_fields_that_exist(kind):
    assert kind.references <= set(FIELDS)
    assert kind.subject
    assert kind.causes.endswith(".")


def test_causes_options_and_events_that_are_named_exist():
    assert {str(verdict) for verdict in Verdict} <= set(BY_OUTCOME)
    assert len(BY_OUTCOME) == len(ENDINGS)
    assert set(re.findall(r"\b[a-z]+_[a-z]+\b", FAILED.causes)) <= set(Cause)
    asked = {event for command in COMMANDS for event in re.findall(r"EVENT=(\w+)", command)}
    assert asked
    assert asked <= {kind.event for kind in KINDS}
    words = " ".join(
        " ".join([kind.causes, *(remedy.words for remedy in kind.remedies)]) for kind in KINDS
    )
    paths = set(re.findall(r"`([a-z]+(?:\.[a-z_]+)+)`", words))
    assert len(paths) > 5
    for path in paths:
        section = Config()
        for name in path.split("."):
            section = getattr(section, name)


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_a_remedy_can_be_typed(command):
    for part in command.split(" | "):
        program, *words = shlex.split(part)
        assert program in PROGRAMS | {"sort", "head"}
        if program == "jarvis-ear":
            assert words[0] in VERBS
        fields = [word.partition("=")[0] for word in words if re.match(r"[A-Z]", word)]
        assert set(fields) <= {*FIELDS, "SupplementaryGroups", "DeviceAllow", "IPAddressAllow"}


def test_every_entry_has_what_journalctl_shows():
    entries = catalog().split("\n-- ")[1:]
    assert [entry[:32] for entry in entries] == [kind.message_id for kind in KINDS]
    for entry in entries:
        assert re.match(
            r"[0-9a-f]{32}\nSubject: .+\nDefined-By: jarvis-ear\nDocumentation: \w+:\S+\n\n[\w@]",
            entry,
        )
    long = [line for line in catalog().splitlines() if len(line) > WIDTH]
    assert [line for line in long if not line.startswith(("      ", "# ", "Subject:"))] == []


def test_systemd_reads_it(tmp_path):
    journalctl = shutil.which("journalctl")
    if journalctl is None:
        pytest.skip("journalctl is not installed: this machine has no systemd")
    place = tmp_path / "usr/lib/systemd/catalog/jarvis-ear.catalog"
    place.parent.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    place.write_text(catalog())
    made = run([journalctl, f"--root={tmp_path}", "--update-catalog"], check=False)
    assert (made.returncode, made.stderr) == (0, "")
    listed = run([journalctl, f"--root={tmp_path}", "--dump-catalog"]).stdout
    for kind in KINDS:
        assert f"-- {kind.message_id}\nSubject: {kind.subject}\n" in listed


@pytest.mark.parametrize("name", FIELDS)
def test_the_journal_takes_every_name(name):
    assert is_name(name)
    assert FIELDS[name].meaning
    assert (FIELDS[name].unit == "ms") is name.endswith("_MS")


@pytest.mark.parametrize("name", ["", "lower", "_PID", "9LIVES", "A" * 65, "A B", "A\n", "A="])
def test_what_is_no_name(name):
    assert not is_name(name)


def test_no_field_is_declared_twice():
    assert len(FIELDS) == len(OF_EVENTS) + len(OF_TURNS) + len(OF_EVERY_RECORD)


def test_a_record_is_marked_with_its_kind():
    kind = Kind("Broken", "0", "@WHO@ broke", "Because of @REASON@.", (Remedy("x", "y @TURN_ID@"),))
    marks = {"EVENT": "Broken", "MESSAGE_ID": "0", "REASON": "rust", "DEAF_MS": 0}
    assert kind.fields(REASON="rust", DEAF_MS=0) == marks
    assert kind.references == {"WHO", "REASON", "TURN_ID"}
    assert Kind("TurnEnded", "1", "", "", outcome="done").fields()["OUTCOME"] == "done"


def test_the_advice_is_one_line():
    remedies = (Remedy("look"), Remedy("ask", "jarvis-ear status"), Remedy("x", "journalctl -e"))
    assert Kind("Broken", "1", "", "", remedies).advice == "look; ask (jarvis-ear status)"
    assert Kind("Broken", "1", "", "").advice == ""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.message_id)
def test_an_ear_in_a_terminal_is_advised_nothing_about_a_service(kind):
    said = advice_for(kind.advice, "")
    assert "systemctl" not in said
    assert advice_for(kind.advice, "systemctl") == kind.advice


def test_a_password_that_was_changed_needs_another_start():
    advice = PASSWORD_REJECTED.advice
    assert advice_for(advice, "").endswith("once it is changed (end the ear, and start it again)")
    assert "(systemctl --user restart jarvis-ear)" in advice_for(advice, "systemctl --user")
