import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.paths import PrivateFolder
from jarvis_ear.spool import ledger as module
from jarvis_ear.spool.ledger import Ledger


def finished(turn_id="t1"):
    return Finished(turn_id, Verdict.DONE, "", 3)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "state", lambda: 0.0)
    yield ledger
    ledger.close()


def lines(folder):
    return [
        json.loads(line) for line in (folder / "state" / "ledger.jsonl").read_text().splitlines()
    ]


def test_the_ledger_has_one_line_each_without_sound_or_text(tmp_path, ledger):
    ledger.verdict(finished())
    ledger.committed("t2")
    first, second = lines(tmp_path)
    assert first.pop("time").endswith("+00:00")
    assert first == {"turn": "t1", "verdict": "done", "cause": "", "chunks": 3}
    assert second["stage"] == "committed"
    assert ledger.recorded() == {"t1": "done", "t2": "committed"}


def test_a_superseded_turn_names_the_turn_with_the_whole_sentence(tmp_path, ledger):
    ledger.verdict(Finished("half", Verdict.SUPERSEDED, "not_committed", 0, successor="whole"))
    [line] = lines(tmp_path)
    assert (line["turn"], line["superseded_by"]) == ("half", "whole")


def test_how_much_was_heard_is_in_the_verdict_or_follows_it(tmp_path, ledger):
    ledger.verdict(Finished("t1", Verdict.DONE, "", 0, 3))
    ledger.verdict(finished("t2"))
    ledger.heard("t2", "part", "speaker_lost")
    assert [(line.get("heard"), line.get("heard_reason")) for line in lines(tmp_path)] == [
        *(("none", "sentences_missing"), (None, None), ("part", "speaker_lost"))
    ]
    assert lines(tmp_path)[2].keys() == {"time", "turn", "heard", "heard_reason"}
    assert ledger.recorded() == {"t1": "done", "t2": "done"}


def test_the_ledger_is_rotated_and_still_read(tmp_path, ledger, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 500)
    for number in range(20):
        ledger.verdict(finished(f"t{number}"))
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "state").iterdir()}
    assert {"ledger.1.jsonl"} <= set(sizes) <= {"ledger.1.jsonl", "ledger.jsonl"}
    assert max(sizes.values()) < 700
    assert "t19" in ledger.recorded()
    assert "t0" not in ledger.recorded()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=500))
def test_any_file_is_read_for_its_valid_lines(tmp_path_factory, junk):
    folder = tmp_path_factory.mktemp("state")
    (folder / "ledger.jsonl").write_bytes(junk + b'\n[1]\n{"turn":1,"verdict":"x"}\n"a"\n')
    ledger = Ledger(folder, lambda: 0.0)
    ledger.verdict(finished())
    assert ledger.recorded()["t1"] == "done"


def test_a_line_that_was_cut_short_does_not_spoil_the_next(ledger, monkeypatch):
    ledger.verdict(finished())

    def cut(folder, name, data):
        append(folder, name, data[:10])
        raise OSError(28, "full")

    append = PrivateFolder.append
    with monkeypatch.context() as full:
        full.setattr(PrivateFolder, "append", cut)
        ledger.verdict(finished("t2"))
    ledger.verdict(finished("t3"))
    assert ledger.recorded() == {"t1": "done", "t3": "done"}


def test_without_a_folder_the_journal_has_it(tmp_path, ledger, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "state").write_text("in the way")
    assert ledger.recorded() == {}
    ledger.verdict(finished("t\n1"))
    ledger.verdict(finished("t2"))
    said = [each.getMessage() for each in caplog.records]
    assert 'ledger: turn "t\\n1": verdict done, cause , chunks 3' in said
    assert len([each for each in said if "cannot be written" in each]) == 1
    assert ledger.unwritten == 2
