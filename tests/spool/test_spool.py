"""The spool: recovery after a kill, failed writes, and foreign files."""

import errno
import json
import os
import stat

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import SpoolOptions
from jarvis_ear.delivery.events import Cause, Finished, Verdict
from jarvis_ear.delivery.outbox import MAX_UTTERANCES
from jarvis_ear.delivery.transitions import Guarantee, SpoolState
from jarvis_ear.delivery.utterance import MAX_PCM_BYTES, Past, Utterance
from jarvis_ear.errors import AlreadyRunning
from jarvis_ear.paths import PrivateFolder
from jarvis_ear.spool import record
from jarvis_ear.spool.ledger import Ledger
from jarvis_ear.spool.recovery import Recovered
from jarvis_ear.spool.store import MAX_OPEN, DiskSpool, kept_spool

PCM = bytes(range(256)) * 125


class Now:
    """A clock that stands where it is put."""

    boot_id = "this"

    def __init__(self, at=100.0):
        self.at = at

    def __call__(self):
        return self.at


class Run:
    """One run of an ear with a spool."""

    def __init__(self, folder, now):
        self.spool = DiskSpool(folder / "run", Ledger(folder / "state", now), now)

    def __enter__(self):
        self.spool.lock()
        return self.spool

    def __exit__(self, *_):
        self.spool.close()


@pytest.fixture
def now():
    return Now()


def spoken(turn_id="0a1b2c3d", ended_at=100.0, pcm=PCM):
    return Utterance(turn_id, pcm_to_wav(pcm), len(pcm), ended_at)


def end(verdict, cause, turn_id="0a1b2c3d"):
    return Finished(turn_id, verdict, cause.value, 0)


def ledger(folder):
    lines = (folder / "state" / "ledger.jsonl").read_text().splitlines()
    return [
        (told["turn"], told.get("verdict", told.get("stage"))) for told in map(json.loads, lines)
    ]


def files(folder):
    return sorted(
        str(path.relative_to(folder / "run").parent)
        for path in (folder / "run").rglob("*-*")
        if path.is_file()
    )


def left_behind(folder, now, guarantee=Guarantee.AT_MOST_ONCE):
    """Start again, record the verdicts, and return what was found."""
    with Run(folder, now) as spool:
        recovered = spool.begin(30.0, guarantee)
        for finished in recovered.ended:
            spool.finish(finished)
        return recovered


def test_what_was_not_committed_goes_on_in_the_next_run(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        assert spool.kept == {"0a1b2c3d"}
    assert files(tmp_path) == ["new"]
    now.at = 129.0
    assert left_behind(tmp_path, now) == Recovered((spoken(),))


def test_files_and_folders_are_for_nobody_else(tmp_path, now):
    os.umask(os.umask(0))
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        spool.finish(end(Verdict.DONE, Cause.NONE, "other"))
    for path in [tmp_path / "run", tmp_path / "state", *tmp_path.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_sound_that_comes_piece_by_piece_is_one_utterance(tmp_path, now):
    with Run(tmp_path, now) as spool:
        for offset in range(0, 24_000, 8000):
            spool.extend("0a1b2c3d", offset, PCM[offset : offset + 8000])
        assert files(tmp_path) == ["tmp"]
        spool.keep(spoken())
    assert left_behind(tmp_path, now) == Recovered((spoken(),))


@pytest.mark.parametrize("pieces", [[(8000, 8000)], [(0, 8000), (16_000, 8000)], [(0, 40_000)]])
def test_pieces_that_do_not_fit_do_not_spoil_it(tmp_path, now, pieces):
    with Run(tmp_path, now) as spool:
        for offset, size in pieces:
            spool.extend(
                "0a1b2c3d", offset, bytes(size) if size > len(PCM) else PCM[offset : offset + size]
            )
        spool.keep(spoken())
    assert left_behind(tmp_path, now) == Recovered((spoken(),))


def test_killed_in_the_middle_of_an_utterance_is_told_and_forgotten(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.extend("0a1b2c3d", 0, PCM)
    assert left_behind(tmp_path, now) == Recovered(ended=(end(Verdict.FAILED, Cause.TORN),))
    assert files(tmp_path) == []
    assert ledger(tmp_path) == [("0a1b2c3d", "failed")]


def test_killed_between_the_last_byte_and_the_move_is_not_lost(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        [path] = (tmp_path / "run" / "new").iterdir()
        path.rename(tmp_path / "run" / "tmp" / path.name)
    assert left_behind(tmp_path, now) == Recovered((spoken(),))
    assert files(tmp_path) == ["new"]


@pytest.mark.parametrize(
    ("state", "verdict"),
    [(SpoolState.SENT, Verdict.IN_DOUBT), (SpoolState.TAKEN, Verdict.REPLY_LOST)],
)
def test_killed_after_the_commit_is_never_sent_again(tmp_path, now, state, verdict):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        spool.set_state("0a1b2c3d", state)
        spool.set_state("0a1b2c3d", state)
    assert left_behind(tmp_path, now) == Recovered(ended=(end(verdict, Cause.KILLED),))
    assert left_behind(tmp_path, now) == Recovered()
    assert ledger(tmp_path) == [("0a1b2c3d", str(verdict))]


def test_at_least_once_sends_it_again(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        spool.set_state("0a1b2c3d", SpoolState.SENT)
    [again] = left_behind(tmp_path, now, Guarantee.AT_LEAST_ONCE).utterances
    assert again.past is Past.PERHAPS_RAN


def test_a_refusal_takes_it_back(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        spool.set_state("0a1b2c3d", SpoolState.SENT)
        spool.set_state("0a1b2c3d", SpoolState.NEW)
    assert left_behind(tmp_path, now) == Recovered((spoken(),))


def test_killed_between_the_ledger_and_the_removal_has_one_verdict(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        spool.set_state("0a1b2c3d", SpoolState.TAKEN)
        [path] = (tmp_path / "run" / "taken").iterdir()
        copy = path.read_bytes()
        spool.finish(end(Verdict.DONE, Cause.NONE))
        path.write_bytes(copy)
    assert left_behind(tmp_path, now) == Recovered()
    assert files(tmp_path) == []
    assert ledger(tmp_path) == [("0a1b2c3d", "done")]


def test_too_old_or_of_another_start_of_the_machine_is_not_sent(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken("00000001"))
    now.at = 130.0
    assert left_behind(tmp_path, now).ended == (end(Verdict.EXPIRED, Cause.TOO_OLD, "00000001"),)
    with Run(tmp_path, now) as spool:
        spool.keep(spoken("00000002", ended_at=130.0))
    now.boot_id = "the next"
    assert left_behind(tmp_path, now).ended == (end(Verdict.EXPIRED, Cause.TOO_OLD, "00000002"),)


def test_a_start_takes_over_as_much_as_the_outbox_holds_and_the_newest(tmp_path, now):
    with Run(tmp_path, now) as spool:
        for number in range(MAX_UTTERANCES + 2):
            now.at = 100.0 + number / 10
            spool.keep(spoken(f"{number:08x}", ended_at=now.at))
    recovered = left_behind(tmp_path, now)
    assert [each.turn_id for each in recovered.utterances] == [
        f"{number:08x}" for number in range(2, MAX_UTTERANCES + 2)
    ]
    assert {each.turn_id: each.code for each in recovered.ended} == {
        "00000000": "outbox_full",
        "00000001": "outbox_full",
    }


def test_what_is_there_twice_counts_as_far_as_it_has_come(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        [path] = (tmp_path / "run" / "new").iterdir()
        (tmp_path / "run" / "sent" / path.name).write_bytes(path.read_bytes())
    assert left_behind(tmp_path, now) == Recovered(ended=(end(Verdict.IN_DOUBT, Cause.KILLED),))
    assert files(tmp_path) == []


def test_whatever_lies_in_the_folders_a_start_survives_and_leaves_alone(tmp_path, now, caplog):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
    outside = tmp_path / "outside"
    outside.write_text("precious")
    for name in ("tmp", "new", "sent", "taken"):
        folder = tmp_path / "run" / name
        (folder / "notes.txt").write_text("foreign")
        (folder / "0000000000001-00000001").symlink_to(outside)
        (folder / "0000000000002-00000002").mkdir()
        os.mkfifo(folder / "0000000000003-00000003")
        (folder / "0000000000004-0000000X").write_bytes(b"nearly")
    (tmp_path / "run" / "new" / "0000000000005-00000005").write_bytes(b"half a fi")
    (tmp_path / "run" / "sent" / "0000000000006-00000006").write_bytes(bytes(5_000_000))
    recovered = left_behind(tmp_path, now)
    assert recovered.utterances == (spoken(),)
    assert set(recovered.ended) == {
        end(Verdict.FAILED, Cause.TORN, "00000005"),
        end(Verdict.FAILED, Cause.TORN, "00000006"),
    }
    assert outside.read_text() == "precious"
    assert len(list((tmp_path / "run" / "tmp").iterdir())) == 5
    assert "not records of the spool" in caplog.text


@settings(max_examples=60, deadline=None)
@example(
    [
        ("tmp", "0000000000000-00000000", record.closed_header(spoken(), "this") + PCM),
        ("new", "0000000000000-00000000", b""),
    ]
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tmp", "new", "sent", "taken"]),
            st.from_regex(r"[0-9]{13}-[0-9a-f]{8}", fullmatch=True),
            st.one_of(
                st.binary(max_size=300),
                st.just(record.closed_header(spoken(), "this") + PCM),
                st.binary(max_size=20).map(
                    lambda some: record.open_header("t1", "this", 1.0) + some
                ),
            ),
        ),
        max_size=8,
    )
)
def test_every_file_of_ours_gets_one_verdict_or_goes_on(tmp_path_factory, found):
    folder, now = tmp_path_factory.mktemp("fuzz"), Now()
    with Run(folder, now):
        pass
    for place, name, content in found:
        (folder / "run" / place / name).write_bytes(content)
    recovered = left_behind(folder, now)
    told = [each.turn_id for each in (*recovered.utterances, *recovered.ended)]
    assert len(told) == len(set(told))
    assert bool(told) == bool(found)
    assert files(folder) == ["new"] * len(recovered.utterances)


def test_only_one_may_have_it(tmp_path, now):
    with Run(tmp_path, now), pytest.raises(AlreadyRunning, match=r"another jarvis-ear.*spool\.dir"):
        Run(tmp_path, now).spool.lock()
    with Run(tmp_path, now):
        pass


@pytest.mark.parametrize("obstacle", ["file", "link", "broken inside"])
def test_a_folder_that_cannot_be_used_is_done_without(tmp_path, now, caplog, obstacle):
    if obstacle == "file":
        (tmp_path / "run").write_text("")
    elif obstacle == "link":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "new").write_text("")
    with Run(tmp_path, now) as spool:
        assert spool.begin(30.0, Guarantee.AT_MOST_ONCE) == Recovered()
        spool.extend("t1", 0, PCM)
        spool.keep(spoken("t1"))
        spool.set_state("t1", SpoolState.SENT)
        assert list(spool.kept) == []
        spool.finish(end(Verdict.DONE, Cause.NONE, "t1"))
    assert "in memory only" in caplog.text
    assert ledger(tmp_path) == [("t1", "done")]
    assert not (tmp_path / "elsewhere").exists() or not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_of_somebody_else_is_not_taken(tmp_path, now, caplog, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with Run(tmp_path, now):
        pass
    assert "belongs to user" in caplog.text


def broken(*_, **__):
    raise OSError(errno.ENOSPC, "full")


def test_a_full_disk_costs_a_warning_a_minute_and_nothing_else(tmp_path, now, caplog, monkeypatch):
    with Run(tmp_path, now) as spool:
        with monkeypatch.context() as full:
            full.setattr(os, "write", broken)
            full.setattr(PrivateFolder, "append", broken)
            for number in range(20):
                now.at = 100.0 + 4 * number
                spool.extend("t1", 0, PCM)
                spool.keep(spoken())
                spool.finish(end(Verdict.DONE, Cause.NONE))
        warned = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert len([each for each in warned if "the spool" in each]) == 2
        assert len([each for each in warned if "the ledger" in each]) == 2
        assert spool.counters()["spool_failures"] == 40
        assert spool.counters()["ledger_unwritten"] == 20
        assert files(tmp_path) == []
        spool.keep(spoken())
        assert files(tmp_path) == ["new"]


def test_what_cannot_be_marked_as_committed_is_in_doubt_all_the_same(tmp_path, now, monkeypatch):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        with monkeypatch.context() as stuck:
            stuck.setattr(PrivateFolder, "move", broken)
            assert spool.set_state("0a1b2c3d", SpoolState.SENT)
    assert left_behind(tmp_path, now) == Recovered(ended=(end(Verdict.IN_DOUBT, Cause.KILLED),))
    assert ledger(tmp_path) == [("0a1b2c3d", "committed"), ("0a1b2c3d", "in_doubt")]


def test_without_a_ledger_it_is_not_left_to_be_sent_again(tmp_path, now, monkeypatch):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        with monkeypatch.context() as stuck:
            stuck.setattr(PrivateFolder, "move", broken)
            stuck.setattr(PrivateFolder, "append", broken)
            assert spool.set_state("0a1b2c3d", SpoolState.SENT)
    assert left_behind(tmp_path, now) == Recovered()


READ_ONLY = ("move", "append", "remove")


def lock_storage(monkeypatch):
    """Nothing can be written any more: a disk gone read-only, a folder made immutable."""
    for name in READ_ONLY:
        monkeypatch.setattr(PrivateFolder, name, broken)
    monkeypatch.setattr(os, "pwrite", broken)


def test_what_can_be_marked_nowhere_must_not_run(tmp_path, now, monkeypatch, caplog):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        with monkeypatch.context() as stuck:
            lock_storage(stuck)
            assert spool.set_state("0a1b2c3d", SpoolState.SENT) is False
            spool.finish(end(Verdict.FAILED, Cause.STORAGE_FAILED))
            assert list(spool.kept) == []
        [error] = [each for each in caplog.records if each.levelname == "ERROR"]
        assert "turn 0a1b2c3d is not sent" in error.getMessage()
        assert "spool.dir" in error.getMessage()
        assert (error.EVENT, error.TURN_ID) == ("SpoolUnmarked", "0a1b2c3d")


def test_what_could_not_be_removed_is_not_found_again_by_a_reload(tmp_path, now, monkeypatch):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        with monkeypatch.context() as stuck:
            lock_storage(stuck)
            spool.set_state("0a1b2c3d", SpoolState.SENT)
            spool.finish(end(Verdict.FAILED, Cause.STORAGE_FAILED))
        assert files(tmp_path) == ["new"]
        assert spool.begin(30.0, Guarantee.AT_MOST_ONCE) == Recovered()
        assert list(spool.kept) == []


def test_what_could_not_be_removed_is_removed_when_it_can_be(tmp_path, now, monkeypatch):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        with monkeypatch.context() as stuck:
            lock_storage(stuck)
            spool.set_state("0a1b2c3d", SpoolState.SENT)
            spool.finish(end(Verdict.FAILED, Cause.STORAGE_FAILED))
        spool.finish(end(Verdict.DONE, Cause.NONE, "other"))
        assert files(tmp_path) == []


def test_a_file_that_was_written_and_could_not_be_moved_must_not_run_either(
    tmp_path, now, monkeypatch
):
    with Run(tmp_path, now) as spool:
        spool.extend("0a1b2c3d", 0, PCM[:8000])
        with monkeypatch.context() as stuck:
            stuck.setattr(PrivateFolder, "move", broken)
            stuck.setattr(PrivateFolder, "remove", broken)
            spool.keep(spoken())
            append = PrivateFolder.append
            stuck.setattr(PrivateFolder, "append", broken)
            assert spool.set_state("0a1b2c3d", SpoolState.SENT) is False
            stuck.setattr(PrivateFolder, "append", append)
            assert spool.set_state("0a1b2c3d", SpoolState.SENT) is True
    assert left_behind(tmp_path, now) == Recovered(ended=(end(Verdict.IN_DOUBT, Cause.KILLED),))


def test_a_leftover_that_can_be_moved_is_marked(tmp_path, now, monkeypatch):
    with Run(tmp_path, now) as spool:
        spool.extend("0a1b2c3d", 0, PCM[:8000])
        with monkeypatch.context() as stuck:
            stuck.setattr(PrivateFolder, "move", broken)
            stuck.setattr(PrivateFolder, "remove", broken)
            spool.keep(spoken())
        assert spool.set_state("0a1b2c3d", SpoolState.SENT) is True
        assert files(tmp_path) == ["sent"]
        spool.finish(end(Verdict.DONE, Cause.NONE))
    assert files(tmp_path) == []


def test_what_cannot_be_marked_as_taken_is_in_doubt(tmp_path, now, monkeypatch):
    with Run(tmp_path, now) as spool:
        spool.keep(spoken())
        spool.set_state("0a1b2c3d", SpoolState.SENT)
        with monkeypatch.context() as stuck:
            stuck.setattr(PrivateFolder, "move", broken)
            spool.set_state("0a1b2c3d", SpoolState.TAKEN)
    assert left_behind(tmp_path, now) == Recovered(ended=(end(Verdict.IN_DOUBT, Cause.KILLED),))


def test_a_piece_that_was_written_by_half_does_not_spoil_it(tmp_path, now, monkeypatch):
    def by_half(folder, name, data):
        append(folder, name, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "full")

    append = PrivateFolder.append
    with Run(tmp_path, now) as spool:
        spool.extend("0a1b2c3d", 0, PCM[:8000])
        with monkeypatch.context() as full:
            full.setattr(PrivateFolder, "append", by_half)
            spool.extend("0a1b2c3d", 8000, PCM[8000:16_000])
        spool.extend("0a1b2c3d", 16_000, PCM[16_000:24_000])
        spool.keep(spoken())
    assert left_behind(tmp_path, now) == Recovered((spoken(),))


def test_unfinished_utterances_do_not_pile_up(tmp_path, now):
    with Run(tmp_path, now) as spool:
        for number in range(10):
            spool.extend(f"{number:08x}", 0, PCM)
        assert len(files(tmp_path)) == MAX_OPEN
        spool.discard(f"{9:08x}")
        spool.discard("unknown")
        assert len(files(tmp_path)) == MAX_OPEN - 1


def test_speech_that_begins_again_begins_anew(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.extend("0a1b2c3d", 0, bytes(5000))
        spool.extend("0a1b2c3d", 0, PCM[:2000])
        spool.keep(spoken())
    assert left_behind(tmp_path, now) == Recovered((spoken(),))


def test_no_file_grows_without_end(tmp_path, now):
    with Run(tmp_path, now) as spool:
        spool.extend("0a1b2c3d", 0, bytes(MAX_PCM_BYTES))
        spool.extend("0a1b2c3d", MAX_PCM_BYTES, bytes(2))
        [path] = (tmp_path / "run" / "tmp").iterdir()
        assert path.stat().st_size == record.RECORD_HEADER_BYTES + MAX_PCM_BYTES


def test_a_second_ear_is_told_at_once_and_a_later_one_is_not(tmp_path):
    options = SpoolOptions(dir=tmp_path / "spool", ledger_dir=tmp_path / "ledger")
    with kept_spool(options), pytest.raises(AlreadyRunning), kept_spool(options):
        pass
    with kept_spool(options):
        pass


def test_without_one_nothing_is_kept(tmp_path):
    options = SpoolOptions(enabled=False, dir=tmp_path / "spool")
    with kept_spool(options) as spool:
        assert not spool.on_disk
    assert list(tmp_path.iterdir()) == []
