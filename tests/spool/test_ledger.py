import json
import logging

from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.paths import PrivateFolder
from jarvis_ear.spool import ledger as module
from jarvis_ear.spool.ledger import Ledger


def finished(turn_id="t1"):
    return Finished(turn_id, Verdict.DONE, "", 3)


def test_one_line_each_without_sound_or_text(tmp_path):
    ledger = Ledger(tmp_path / "state", lambda: 0.0)
    ledger.verdict(finished())
    ledger.committed("t2")
    first, second = map(json.loads, (tmp_path / "state" / "ledger.jsonl").read_text().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {"turn": "t1", "verdict": "done", "cause": "", "chunks": 3}
    assert second["stage"] == "committed"
    assert ledger.recorded() == {"t1": "done", "t2": "committed"}
    ledger.close()


def test_how_much_was_heard_stands_in_the_verdict_or_follows_it(tmp_path):
    ledger = Ledger(tmp_path, lambda: 0.0)
    ledger.verdict(Finished("t1", Verdict.DONE, "", 0, 3))
    ledger.verdict(finished("t2"))
    ledger.heard("t2", "part", "speaker_lost")
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [(line.get("heard"), line.get("heard_reason")) for line in lines] == [
        ("none", "sentences_missing"),
        (None, None),
        ("part", "speaker_lost"),
    ]
    assert lines[2].keys() == {"time", "turn", "heard", "heard_reason"}
    assert ledger.recorded() == {"t1": "done", "t2": "done"}
    ledger.close()


def test_it_is_rotated_and_still_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 500)
    ledger = Ledger(tmp_path, lambda: 0.0)
    for number in range(20):
        ledger.verdict(finished(f"t{number}"))
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert {"ledger.1.jsonl"} <= set(sizes) <= {"ledger.1.jsonl", "ledger.jsonl"}
    assert max(sizes.values()) < 700
    assert "t19" in ledger.recorded()
    assert "t0" not in ledger.recorded()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=500))
def test_whatever_is_in_it_a_start_reads_what_is_ours(tmp_path_factory, junk):
    folder = tmp_path_factory.mktemp("state")
    (folder / "ledger.jsonl").write_bytes(junk + b'\n[1]\n{"turn":1,"verdict":"x"}\n"a"\n')
    ledger = Ledger(folder, lambda: 0.0)
    ledger.verdict(finished())
    assert ledger.recorded()["t1"] == "done"


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path, lambda: 0.0)
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


def test_without_a_folder_the_journal_has_it(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "state").write_text("in the way")
    ledger = Ledger(tmp_path / "state", lambda: 0.0)
    assert ledger.recorded() == {}
    ledger.verdict(finished("t\n1"))
    ledger.verdict(finished("t2"))
    ledger.close()
    lines = [each.getMessage() for each in caplog.records]
    assert 'ledger: turn "t\\n1": verdict done, cause , chunks 3' in lines
    assert len([each for each in lines if "cannot be written" in each]) == 1
    assert ledger.unwritten == 2
