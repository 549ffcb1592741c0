"""`jarvis-ear turns`: the journal and the ledger, each alone, both, and spoilt.

tests/platform/test_journal.py asks a real journal.
"""

import json
import time

import pytest

from jarvis_ear import cli
from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.options.verbs import UsageError
from jarvis_ear.spool import ledger
from jarvis_ear.turn_trace import past_turns
from jarvis_ear.turn_trace.command import parse_since

NOW = time.time()
DONE = {
    "EVENT": "TurnEnded",
    "OUTCOME": "done",
    "TURN_ID": "03b91389",
    "CAUSE": "",
    "HEARD": "all",
    "ENDED_BY": "hangover",
    "SPEECH_MS": "680",
    "WAKE_SCORE": "0.92",
    "LATENCY_CAPTURED_MS": "800",
    "LATENCY_SENT_MS": "803",
    "LATENCY_TRANSCRIPT_MS": "2000",
    "LATENCY_FIRST_AUDIO_MS": "3100",
    "LATENCY_DONE_MS": "4100",
    "LATENCY_ANSWER_MS": "3100",
    "BYTES_WAV": "53000",
    "BACKEND": "http://box:4000",
    "REPLY_CHUNKS": "2",
}
DROPPED = {"EVENT": "TurnEnded", "OUTCOME": "no_speech", "TURN_ID": "fa15e", "CAUSE": "X"}
LINE = {"TURN_ID": "03b91389", "MESSAGE": 'understood "\x1b[2Jtime"'}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user with a ledger of three turns, and no journal."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    book = ledger.Ledger(tmp_path / "state", lambda: 0.0)
    book.verdict(Finished("03b91389", Verdict.DONE, "", 2))
    book.heard("03b91389", "all", "")
    book.verdict(Finished("dead0001", Verdict.EXPIRED, "too_old", 0, away="port 4000 is closed"))
    book.verdict(Finished("dead0002", Verdict.SUPERSEDED, "not_committed", 0, successor="03b91389"))
    book.close()
    return tmp_path


def write_journal(home, *records, status=0, complaint=""):
    """Put a journalctl into the path that answers with these records, if they match."""
    program = home / "bin" / "journalctl"
    program.parent.mkdir()
    later = int(1e6 * (time.time() + 60))  # than the ledger
    stamped = [{"__REALTIME_TIMESTAMP": str(later + n), **r} for n, r in enumerate(records)]
    (home / "records").write_text("\n".join(json.dumps(each) for each in stamped) + "\n{torn")
    program.write_text(
        f"#!/bin/sh\necho '{complaint}' >&2\n"
        f'for word; do case "$word" in EVENT=*|TURN_ID=*) want="${{word#*=}}" ;; esac; done\n'
        f'/bin/grep -F "\\"$want\\"" {home}/records\nexit {status}\n'
    )
    program.chmod(0o755)


def run(capsys, *words, status=0):
    assert cli.main(["turns", *words]) == status
    return capsys.readouterr()


def listed(capsys, *words):
    found = json.loads(run(capsys, *words, "--json").out)
    assert found["format"] == 1
    return {turn["turn"]: turn for turn in found["turns"]}, found["sources"]


def test_without_a_journal_the_ledger_is_shown_and_one_line_says_so(home, capsys):
    said = run(capsys)
    assert "there is no journalctl: only the ledger is shown" in said.err
    assert len(said.err.splitlines()) == 1
    assert [line.split()[2] for line in said.out.splitlines()[1:]] == [
        *("03b91389", "dead0001", "dead0002"),
    ]
    found, sources = listed(capsys)
    assert sources == ["ledger"]
    assert (found["03b91389"]["heard"], found["03b91389"]["answer_ms"]) == ("all", None)
    assert listed(capsys, "--failed")[0].keys() == {"dead0001"}


def test_both_are_merged_by_turn(home, capsys):
    write_journal(home, DONE, DROPPED, {**DROPPED, "OUTCOME": "announced", "TURN_ID": "ab"})
    found, sources = listed(capsys, "list", "--since", "today")
    assert sources == ["journal", "ledger"]
    assert found.keys() == {"03b91389", "dead0001", "dead0002", "fa15e"}
    assert found["03b91389"] == {
        "turn": "03b91389",
        "ended": found["03b91389"]["ended"],
        "verdict": "done",
        "cause": None,
        "heard": "all",
        "heard_reason": None,
        "ended_by": "hangover",
        "away": None,
        "speech_ms": 680,
        "wake_score": 0.92,
        "answer_ms": 3100,
        "total_ms": 4100,
        "parts": [
            {"part": "endpoint", "begin_ms": 0, "end_ms": 800},
            {"part": "upload", "begin_ms": 800, "end_ms": 803},
            {"part": "speech-to-text", "begin_ms": 803, "end_ms": 2000},
            {"part": "answer", "begin_ms": 2000, "end_ms": 3100},
            {"part": "reply", "begin_ms": 3100, "end_ms": 4100},
        ],
    }
    assert listed(capsys, "--slow")[0].keys() == {"03b91389"}
    assert listed(capsys, "--last", "1")[0].keys() == {"fa15e"}


def test_a_turn_is_shown_with_its_waterfall_and_its_log(home, capsys):
    write_journal(home, DONE, LINE)
    said = run(capsys, "show", "03b").out
    assert "speech     0.68 s, ended by hangover" in said
    assert "sent       53 kB to http://box:4000" in said
    bars = [line for line in said.splitlines() if line.endswith(" ms")]
    assert bars[0] == f"  endpoint        {'#' * 9:<45}    800 ms"
    assert bars[3] == f"  answer          {' ' * 21 + '#' * 12:<45}   1100 ms"
    assert 'understood "?[2Jtime"' in said, "no terminal obeys the journal"
    whole = json.loads(run(capsys, "show", "03b91389", "--json").out)
    assert whole["fields"]["bytes_wav"] == 53000
    assert [each["text"] for each in whole["log"]] == ['understood "?[2Jtime"']


def test_an_expired_turn_says_why_the_backend_was_away(home, capsys):
    assert "backend    away: port 4000 is closed\n" in run(capsys, "show", "dead0001").out
    assert listed(capsys)[0]["dead0001"]["away"] == "port 4000 is closed"
    expired = {**DROPPED, "OUTCOME": "expired", "TURN_ID": "fa11", "REASON": "no answer in 5 s"}
    write_journal(home, expired)
    assert "backend    away: no answer in 5 s\n" in run(capsys, "show", "fa11").out


def test_records_of_another_form_are_left_out(home, capsys):
    spoilt = [{**DONE, "TURN_ID": value} for value in ("../etc", ["03b91389"], None, "x" * 99)] + [
        {**DONE, "TURN_ID": "ab1", "__REALTIME_TIMESTAMP": "soon"},
        {**DONE, "TURN_ID": "ab2", "OUTCOME": "eaten"},
        {**DONE, "TURN_ID": "ab3", "LATENCY_ANSWER_MS": "9" * 400, "WAKE_SCORE": [1]},
    ]
    write_journal(home, *spoilt)
    with (home / "state" / ledger.FILE).open("a") as file:
        file.write('[]\n{"turn": "ab4"}\n{"turn": 3, "time": "2026"}\n{"turn"')
    found, _ = listed(capsys)
    assert found.keys() == {"ab3", "03b91389", "dead0001", "dead0002"}
    assert (found["ab3"]["answer_ms"], found["ab3"]["wake_score"]) == (None, None)


@pytest.mark.parametrize(
    ("status", "complaint", "why"),
    [
        (1, "Failed to search journal: \x1b[1m no", "Failed to search journal: ?[1m no"),
        (0, "", "the journal holds no turns"),
    ],
)
def test_a_journal_that_says_nothing_is_named(home, capsys, status, complaint, why):
    write_journal(home, status=status, complaint=complaint)
    said = run(capsys)
    assert why in said.err
    assert "dead0001" in said.out


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("--since", "soon"), 64, 'turns: --since: "soon": expected today, yesterday'),
        (("--last", "0"), 64, "expected a number from 1"),
        (("show", "dead"), 66, "2 turns with the id"),
        (("show", "beef"), 66, "no turn with the id"),
        (("--ledger", "/nowhere"), 66, "/nowhere holds no ledger"),
        (("sow",), 64, "did you mean show?"),
        (("--fail",), 64, "did you mean --failed?"),
    ],
)
def test_a_mistake_is_one_clear_error(home, capsys, words, status, why):
    assert why in run(capsys, *words, status=status).err


def test_a_ledger_of_another_user_is_named(home, capsys, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied", str(home / "state"))

    monkeypatch.setattr(past_turns, "read_regular", refuse)
    assert "belongs to another user" in run(capsys, status=77).err


def test_times_are_understood():
    now = 1_800_000_000.0
    assert parse_since("90m", now) == now - 5400
    assert parse_since("2d", now) == now - 2 * 86_400
    assert parse_since("2026-11-28T10:30:00+00:00", now) == 1_795_861_800.0
    today = parse_since("today", now)
    assert 0 <= now - today < 86_400
    assert parse_since("yesterday", now) <= today - 82_800
    with pytest.raises(UsageError):
        parse_since("99999999-01-01", now)


def test_the_file_names_are_those_of_the_ledger():
    assert past_turns.LEDGERS == (ledger.OLD_FILE, ledger.FILE)
