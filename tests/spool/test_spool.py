"""The spool: recovery after a kill, failed writes, and foreign files."""

import errno
import json
import os
import stat
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import SpoolOptions
from jarvis_ear.delivery.events import Cause, Finished, Verdict
from jarvis_ear.delivery.outbox import MAX_UTTERANCES
from jarvis_ear.delivery.transitions import Guarantee
from jarvis_ear.delivery.transitions import SpoolState as State
from jarvis_ear.delivery.utterance import MAX_PCM_BYTES, Past, Utterance
from jarvis_ear.errors import AlreadyRunning
from jarvis_ear.paths import PrivateFolder
from jarvis_ear.spool import record
from jarvis_ear.spool.ledger import Ledger
from jarvis_ear.spool.recovery import Recovered
from jarvis_ear.spool.store import MAX_OPEN, DiskSpool, kept_spool

PCM = bytes(range(256)) * 125
TURN = "0a1b2c3d"


class Now:
    """A clock that the test sets."""

    boot_id = "this"

    def __init__(self, at=100.0):
        self.at = at

    def __call__(self):
        return self.at


class Home:
    """The folders of an ear with a spool, over several runs."""

    def __init__(self, folder):
        self.path, self.now = folder, Now()
        self.spooled = folder / "run"

    @contextmanager
    def run(self):
        spool = DiskSpool(self.spooled, Ledger(self.path / "state", self.now), self.now)
        spool.lock()
        try:
            yield spool
        finally:
            spool.close()

    def recover(self, guarantee=Guarantee.AT_MOST_ONCE):
        """Start again, record the verdicts, and return what was found."""
        with self.run() as spool:
            recovered = spool.begin(30.0, guarantee)
            for finished in recovered.ended:
                spool.finish(finished)
            return recovered

    def ledger(self):
        lines = (self.path / "state" / "ledger.jsonl").read_text().splitlines()
        return [
            (line["turn"], line.get("verdict", line.get("stage")))
            for line in map(json.loads, lines)
        ]

    def files(self):
        found = [path for path in self.spooled.rglob("*-*") if path.is_file()]
        return sorted(str(path.relative_to(self.spooled).parent) for path in found)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def spoken(turn_id=TURN, ended_at=100.0, pcm=PCM):
    return Utterance(turn_id, pcm_to_wav(pcm), len(pcm), ended_at)


def end(verdict, cause, turn_id=TURN):
    return Finished(turn_id, verdict, cause.value, 0)


WHOLE = Recovered((spoken(),))
DONE = end(Verdict.DONE, Cause.NONE)
IN_DOUBT = Recovered(ended=(end(Verdict.IN_DOUBT, Cause.KILLED),))


def kept(*states):
    """Keep an utterance, and record its states."""

    def steps(spool):
        spool.keep(spoken())
        for state in states:
            spool.set_state(TURN, state)

    return steps


def extended(*pieces):
    """Extend an utterance by (offset, pcm), and keep it."""

    def steps(spool):
        for offset, pcm in pieces:
            spool.extend(TURN, offset, pcm)
        spool.keep(spoken())

    return steps


def pieces(*offsets):
    return ((at, PCM[at : at + 8000]) for at in offsets)


UNCOMMITTED = {
    "kept": kept(),
    "refused": kept(State.SENT, State.NEW),
    "held for a moment": kept(State.HELD, State.NEW),
    "piece by piece": extended(*pieces(0, 8000, 16_000)),
    "begun anew": extended((0, bytes(5000)), (0, PCM[:2000])),
    "without beginning": extended(*pieces(8000)),
    "with a gap": extended(*pieces(0, 16_000)),
    "longer than it is": extended((0, bytes(40_000))),
}


@pytest.mark.parametrize("steps", UNCOMMITTED.values(), ids=UNCOMMITTED)
def test_an_uncommitted_utterance_goes_on_in_the_next_run(home, steps):
    with home.run() as spool:
        steps(spool)
        assert spool.kept == {TURN}
    assert home.files() == ["new"]
    home.now.at = 129.0
    assert home.recover() == WHOLE


KILLED = {
    "tmp": (lambda spool: spool.extend(TURN, 0, PCM), Verdict.FAILED, Cause.TORN),
    "sent": (kept(State.SENT, State.SENT), Verdict.IN_DOUBT, Cause.KILLED),
    "held": (kept(State.HELD), Verdict.SUPERSEDED, Cause.NOT_COMMITTED),
    "taken": (kept(State.TAKEN, State.TAKEN), Verdict.REPLY_LOST, Cause.KILLED),
}


@pytest.mark.parametrize("place", KILLED)
def test_an_utterance_that_cannot_go_on_has_its_verdict_once(home, place):
    steps, verdict, cause = KILLED[place]
    with home.run() as spool:
        steps(spool)
    assert home.files() == [place]
    assert home.recover() == Recovered(ended=(end(verdict, cause),))
    assert home.recover() == Recovered()
    assert home.files() == []
    assert home.ledger() == [(TURN, str(verdict))]


def test_at_least_once_sends_a_committed_utterance_again(home):
    with home.run() as spool:
        kept(State.SENT)(spool)
    [again] = home.recover(Guarantee.AT_LEAST_ONCE).utterances
    assert again.past is Past.PERHAPS_RAN


def test_files_and_folders_are_private(home, tmp_path):
    os.umask(os.umask(0))
    with home.run() as spool:
        spool.keep(spoken())
        spool.finish(end(Verdict.DONE, Cause.NONE, "other"))
    for path in [tmp_path / "run", tmp_path / "state", *tmp_path.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_kill_between_the_last_byte_and_the_move_loses_nothing(home):
    with home.run() as spool:
        spool.keep(spoken())
        [path] = (home.spooled / "new").iterdir()
        path.rename(home.spooled / "tmp" / path.name)
    assert home.recover() == WHOLE
    assert home.files() == ["new"]


def test_a_kill_between_the_ledger_and_the_removal_leaves_one_verdict(home):
    with home.run() as spool:
        kept(State.TAKEN)(spool)
        [path] = (home.spooled / "taken").iterdir()
        copy = path.read_bytes()
        spool.finish(DONE)
        path.write_bytes(copy)
    assert home.recover() == Recovered()
    assert home.files() == []
    assert home.ledger() == [(TURN, "done")]


def test_an_utterance_too_old_or_of_another_boot_is_not_sent(home):
    for turn_id, ended_at, name, value in (
        ("00000001", 100.0, "at", 130.0),
        ("00000002", 130.0, "boot_id", "the next"),
    ):
        with home.run() as spool:
            spool.keep(spoken(turn_id, ended_at=ended_at))
        setattr(home.now, name, value)
        assert home.recover().ended == (end(Verdict.EXPIRED, Cause.TOO_OLD, turn_id),)


def test_a_start_takes_over_as_much_as_the_outbox_holds_and_the_newest(home):
    names = [f"{number:08x}" for number in range(MAX_UTTERANCES + 2)]
    with home.run() as spool:
        for name in names:
            spool.keep(spoken(name, ended_at=home.now.at))
            home.now.at += 0.1
    recovered = home.recover()
    assert [each.turn_id for each in recovered.utterances] == names[2:]
    assert {each.turn_id: each.code for each in recovered.ended} == dict.fromkeys(
        names[:2], "outbox_full"
    )


def test_of_two_files_of_an_utterance_the_one_further_on_counts(home):
    with home.run() as spool:
        spool.keep(spoken())
        [path] = (home.spooled / "new").iterdir()
        (home.spooled / "sent" / path.name).write_bytes(path.read_bytes())
    assert home.recover() == IN_DOUBT
    assert home.files() == []


def test_a_start_leaves_foreign_files_alone(home, tmp_path, caplog):
    with home.run() as spool:
        spool.keep(spoken())
    outside = tmp_path / "outside"
    outside.write_text("precious")
    for name in ("tmp", "new", "sent", "taken"):
        folder = home.spooled / name
        (folder / "notes.txt").write_text("foreign")
        (folder / "0000000000001-00000001").symlink_to(outside)
        (folder / "0000000000002-00000002").mkdir()
        os.mkfifo(folder / "0000000000003-00000003")
        (folder / "0000000000004-0000000X").write_bytes(b"nearly")
    (home.spooled / "new" / "0000000000005-00000005").write_bytes(b"half a fi")
    (home.spooled / "sent" / "0000000000006-00000006").write_bytes(bytes(5_000_000))
    recovered = home.recover()
    assert recovered.utterances == (spoken(),)
    torn = {end(Verdict.FAILED, Cause.TORN, turn_id) for turn_id in ("00000005", "00000006")}
    assert set(recovered.ended) == torn
    assert outside.read_text() == "precious"
    assert len(list((home.spooled / "tmp").iterdir())) == 5
    assert "not records of the spool" in caplog.text


CLOSED = record.closed_header(spoken(), "this") + PCM
FILES = st.tuples(
    st.sampled_from(["tmp", "new", "sent", "taken"]),
    st.from_regex(r"[0-9]{13}-[0-9a-f]{8}", fullmatch=True),
    st.binary(max_size=300)
    | st.just(CLOSED)
    | st.binary(max_size=20).map(lambda some: record.open_header("t1", "this", 1.0) + some),
)


@settings(max_examples=60, deadline=None)
@example([("tmp", "0000000000000-00000000", CLOSED), ("new", "0000000000000-00000000", b"")])
@given(st.lists(FILES, max_size=8))
def test_every_file_of_the_spool_gets_one_verdict_or_goes_on(tmp_path_factory, found):
    home = Home(tmp_path_factory.mktemp("fuzz"))
    with home.run():
        pass
    for place, name, content in found:
        (home.spooled / place / name).write_bytes(content)
    recovered = home.recover()
    turns = [each.turn_id for each in (*recovered.utterances, *recovered.ended)]
    assert len(turns) == len(set(turns))
    assert bool(turns) == bool(found)
    assert home.files() == ["new"] * len(recovered.utterances)


@pytest.mark.parametrize("obstacle", ["file", "link", "broken inside"])
def test_a_folder_that_cannot_be_used_is_done_without(home, tmp_path, caplog, obstacle):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if obstacle == "file":
        home.spooled.write_text("")
    elif obstacle == "link":
        home.spooled.symlink_to(elsewhere)
    else:
        home.spooled.mkdir()
        (home.spooled / "new").write_text("")
    with home.run() as spool:
        assert spool.begin(30.0, Guarantee.AT_MOST_ONCE) == Recovered()
        spool.extend(TURN, 0, PCM)
        kept(State.SENT)(spool)
        assert list(spool.kept) == []
        spool.finish(DONE)
    assert "in memory only" in caplog.text
    assert home.ledger() == [(TURN, "done")]
    assert list(elsewhere.iterdir()) == []


def test_a_folder_of_another_user_is_not_taken(home, caplog, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with home.run():
        pass
    assert "belongs to user" in caplog.text


@contextmanager
def failing(*names, functions=()):
    """Let methods of the folder, and functions of the system, fail as on a full disk."""

    def broken(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(PrivateFolder, name, broken)
        for name in functions:
            patch.setattr(os, name, broken)
        yield


def test_a_full_disk_costs_a_warning_a_minute_and_nothing_else(home, caplog):
    with home.run() as spool:
        with failing("append", functions=["write"]):
            for number in range(20):
                home.now.at = 100.0 + 4 * number
                spool.extend("t1", 0, PCM)
                spool.keep(spoken())
                spool.finish(DONE)
        warned = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert len([each for each in warned if "the spool" in each]) == 2
        assert len([each for each in warned if "the ledger" in each]) == 2
        assert spool.counters()["spool_failures"] == 40
        assert spool.counters()["ledger_unwritten"] == 20
        assert home.files() == []
        spool.keep(spoken())
        assert home.files() == ["new"]


@pytest.mark.parametrize(
    ("states", "broken", "recovered", "ledger"),
    [
        ([State.SENT], ["move"], IN_DOUBT, ["committed", "in_doubt"]),
        ([State.SENT, State.TAKEN], ["move"], IN_DOUBT, ["in_doubt"]),
        ([State.SENT], ["move", "append"], Recovered(), None),  # and it is not left to be sent
    ],
    ids=["committed", "taken", "committed without a ledger"],
)
def test_an_utterance_that_cannot_be_marked_is_in_doubt(home, states, broken, recovered, ledger):
    with home.run() as spool:
        kept(*states[:-1])(spool)
        with failing(*broken):
            assert spool.set_state(TURN, states[-1])
    assert home.recover() == recovered
    assert ledger is None or home.ledger() == [(TURN, line) for line in ledger]


def test_an_utterance_that_can_be_marked_nowhere_must_not_run(home, caplog):
    """Its file is not found again by a reload, and is removed when it can be."""
    with home.run() as spool:
        spool.keep(spoken())
        with failing("move", "append", "remove", functions=["pwrite"]):
            assert spool.set_state(TURN, State.SENT) is False
            spool.finish(end(Verdict.FAILED, Cause.STORAGE_FAILED))
            assert list(spool.kept) == []
        [error] = [each for each in caplog.records if each.levelname == "ERROR"]
        assert "turn 0a1b2c3d is not sent" in error.getMessage()
        assert "spool.dir" in error.getMessage()
        assert (error.EVENT, error.TURN_ID) == ("SpoolUnmarked", TURN)
        assert home.files() == ["new"]
        assert spool.begin(30.0, Guarantee.AT_MOST_ONCE) == Recovered()
        assert list(spool.kept) == []
        spool.finish(end(Verdict.DONE, Cause.NONE, "other"))
        assert home.files() == []


@contextmanager
def leftover(home):
    """A spool with an utterance whose unfinished file could not be moved or removed."""
    with home.run() as spool:
        spool.extend(TURN, 0, PCM[:8000])
        with failing("move", "remove"):
            spool.keep(spoken())
        yield spool


def test_a_leftover_that_cannot_be_moved_must_not_run_unmarked(home):
    with leftover(home) as spool, failing("move", "remove"):
        with failing("append"):
            assert spool.set_state(TURN, State.SENT) is False
        assert spool.set_state(TURN, State.SENT) is True
    assert home.recover() == IN_DOUBT


def test_a_leftover_that_can_be_moved_is_marked(home):
    with leftover(home) as spool:
        assert spool.set_state(TURN, State.SENT) is True
        assert home.files() == ["sent"]
        spool.finish(DONE)
    assert home.files() == []


def test_a_half_written_piece_does_not_spoil_the_utterance(home, monkeypatch):
    def by_half(folder, name, data):
        append(folder, name, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "full")

    append = PrivateFolder.append
    with home.run() as spool:
        spool.extend(TURN, 0, PCM[:8000])
        with monkeypatch.context() as full:
            full.setattr(PrivateFolder, "append", by_half)
            spool.extend(TURN, 8000, PCM[8000:16_000])
        extended(*pieces(16_000))(spool)
    assert home.recover() == WHOLE


def test_unfinished_utterances_do_not_pile_up(home):
    with home.run() as spool:
        for number in range(10):
            spool.extend(f"{number:08x}", 0, PCM)
        assert len(home.files()) == MAX_OPEN
        spool.discard(f"{9:08x}")
        spool.discard("unknown")
        assert len(home.files()) == MAX_OPEN - 1


def test_no_file_grows_without_end(home):
    with home.run() as spool:
        spool.extend(TURN, 0, bytes(MAX_PCM_BYTES))
        spool.extend(TURN, MAX_PCM_BYTES, bytes(2))
        [path] = (home.spooled / "tmp").iterdir()
        assert path.stat().st_size == record.RECORD_HEADER_BYTES + MAX_PCM_BYTES


def test_a_second_ear_cannot_have_the_spool_until_it_is_closed(tmp_path):
    options = SpoolOptions(dir=tmp_path / "spool", ledger_dir=tmp_path / "ledger")
    words = r"another jarvis-ear.*spool\.dir"
    with kept_spool(options), pytest.raises(AlreadyRunning, match=words), kept_spool(options):
        pass
    with kept_spool(options) as spool:
        assert spool.on_disk


def test_without_a_spool_nothing_is_kept(tmp_path):
    with kept_spool(SpoolOptions(enabled=False, dir=tmp_path / "spool")) as spool:
        assert not spool.on_disk
    assert list(tmp_path.iterdir()) == []
