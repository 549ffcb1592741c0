"""What docs/journal.md tells people to ask: of a real journal, in which a whole day is written."""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.journald import Journald, why_not
from fakes.program import VERB
from jarvis_ear.delivery.events import Verdict
from jarvis_ear.journal.kind import FIELDS

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "journal.md").read_text()
CATALOG = ROOT / "systemd" / "jarvis-ear.catalog"
PROGRAM = Path(__file__).with_name("journal_program.py")

ASKED = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("journalctl ")
]


@pytest.fixture(scope="module")
def journal():
    if missing := why_not():
        pytest.skip(missing)
    with Journald(CATALOG) as journal:
        journal.run([sys.executable, str(PROGRAM)])
        journal.run(["journalctl", "--sync"])
        yield journal


def minute(offset_s: int) -> str:
    return time.strftime("%H:%M", time.localtime(time.time() + offset_s))


def ask(journal: Journald, command: str) -> str:
    """Type the command as it is shown; only the times are those of today's events."""
    command = command.replace("14:04", minute(-60)).replace("14:06", minute(60))
    return journal.run(["bash", "-o", "pipefail", "-c", command])


def messages(said: str) -> list[str]:
    return [line.partition("]: ")[2] for line in said.splitlines() if "]: " in line]


def ids(said: str) -> list[str]:
    return re.findall(r"turn (\w+):", said)


BAD = [f"bad{number}" for number in range(len(Verdict) - 1)]
ALL = ["03b91389", "510351e5", *BAD, "fa15e"]
MISTAKES = ["backend.url: expected a URL", "microphone.rate: unknown"]
NUMBERS = {"LATENCY_ANSWER_MS=994", "LATENCY_SENT_MS=811", "BACKEND=http://a:1"}


def are(*expected: str) -> Callable[[str], bool]:
    return lambda said: messages(said) == list(expected)


EXPECTED: dict[str, Callable[[str], bool]] = {
    "--since 14:04 --until 14:06": lambda said: len(messages(said)) > 30,
    "-x -p err": lambda said: (
        [line for line in messages(said) if line] == MISTAKES
        and "jarvis-ear does not start" in said
        and "systemctl start jarvis-ear" in said
    ),
    "-x -p warning": lambda said: (
        "The ear is deaf: no sound from fake microphone" in said and "starts" not in said
    ),
    "OUTCOME=failed OUTCOME=expired": lambda said: ids(said) == BAD[:5],
    "sort -k 5 -rn": lambda said: (
        ids(said) == ["510351e5", "03b91389"] and "done in 9994 ms: 800 endpoint" in said
    ),
    "EVENT=TurnEnded -o verbose": lambda said: set(map(str.strip, said.splitlines())) >= NUMBERS,
    "TURN_ID=03b91389": lambda said: len(messages(said)) == 6 and "sent: 52 kB raw" in said,
    "--output-fields=WAKE_SCORE": lambda said: said == "0.51\n",
    "OUTCOME=no_speech": lambda said: ids(said) == ["fa15e"],
    "CAUSE=not_understood": lambda said: ids(said) == ["bad0"],
    "EVENT=MicrophoneLost": are(
        "microphone lost, looking for it from now on: it was unplugged",
        "fake microphone is back after 4.2 s",
    ),
    "--output-fields=DEAF_MS": lambda said: said == "4200\n",
    "EVENT=Muted": are("muted by the owner: the microphone is closed", "no longer muted"),
    "EVENT=BackendUnreachable": are("backend not usable: refused", "backend reached"),
    "EVENT=SoundLost": are("microphone 'usb' lost 40 ms of sound"),
    "-o json EVENT=TurnEnded": lambda said: (
        [json.loads(line)["TURN_ID"] for line in said.splitlines()] == ALL
    ),
    "EVENT=TurnEnded": lambda said: ids(said) == ALL,
}
"""What an answer has to be, by a part of the command; the first that fits counts."""


def expected(command: str) -> Callable[[str], bool]:
    return next(EXPECTED[part] for part in EXPECTED if part in command)


def test_there_is_something_to_ask():
    assert len(ASKED) > 15


@pytest.mark.parametrize("command", [command for command in ASKED if not command.endswith(" -f")])
def test_the_journal_answers(journal, command):
    said = ask(journal, command)
    assert expected(command)(said), said


def test_what_is_followed_comes(journal):
    (command,) = [command for command in ASKED if command.endswith(" -f")]
    with journal.popen(command.split()) as following:
        assert any("microphone.rate: unknown" in line for line in following.stdout)
        following.terminate()


def test_every_record_holds_our_fields_and_no_others(journal):
    records = [
        json.loads(line) for line in ask(journal, "journalctl -u jarvis-ear -o json").splitlines()
    ]
    assert len(records) > 30
    ours = {name for record in records for name in record if not name.startswith("_")}
    assert ours - {"OBJECT_SYSTEMD_UNIT"} <= set(FIELDS)
    assert {record["SYSLOG_IDENTIFIER"] for record in records} == {"jarvis-ear"}
    assert {record["_TRANSPORT"] for record in records} == {"journal"}


def test_everything_that_has_an_explanation_gets_it(journal):
    told = ask(journal, "journalctl -u jarvis-ear -o json").splitlines()
    kinds = {json.loads(line).get("MESSAGE_ID") for line in told} - {None}
    explained = ask(journal, "journalctl -u jarvis-ear -x")
    assert len(kinds) > 12
    assert [kind for kind in kinds if kind not in CATALOG.read_text()] == []
    assert "Turn 03b91389 was answered" in explained
    assert "fake microphone is back after 4200 ms" in explained
    assert not re.search(r"@[A-Z_]+@", explained)


def test_no_word_of_anybody_is_in_it(journal):
    assert "canary" not in ask(journal, "journalctl -u jarvis-ear -o json")


def turns(journal: Journald, *words: str) -> str:
    return journal.run([*VERB, "turns", *words])


def test_the_verb_turns_reads_the_turns_out_of_it(journal, tmp_path, monkeypatch):
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    found = json.loads(turns(journal, "--json"))
    assert found["sources"] == ["journal", "ledger"]
    assert [turn["turn"] for turn in found["turns"]] == ALL
    best = found["turns"][0]
    assert (best["verdict"], best["answer_ms"], best["ended_by"]) == ("done", 994, "hangover")
    assert [part["part"] for part in best["parts"]][:2] == ["endpoint", "upload"]
    slow = json.loads(turns(journal, "list", "--slow", "--json"))["turns"]
    assert [turn["turn"] for turn in slow] == ["510351e5"]
    shown = turns(journal, "show", "03b9")
    assert re.search(r"endpoint +#+ +800 ms", shown), shown
    assert re.search(r"\+0\.\d+ s  sent: 52 kB raw", shown), shown
