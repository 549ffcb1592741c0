"""The folders of the ear, and its small files: private, whole, and regular files only."""

import json
import os
from datetime import date
from pathlib import Path

import pytest

from jarvis_ear import paths
from jarvis_ear.cli import COMMAND_LINE
from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.devices.output import ReplyFiles
from jarvis_ear.errors import ConfigError
from jarvis_ear.health.deaf_time import FILE, LOSS_FILE, DeafTime, LossFile
from jarvis_ear.link.tls_and_tcp import TrustStore
from jarvis_ear.mute import Mute
from jarvis_ear.options.sources import read_file, read_secret
from jarvis_ear.paths import (
    control_folder,
    read_regular,
    runtime_folder,
    sockets,
    state_folder,
    state_folders,
)
from jarvis_ear.schema import SCHEMA, load
from jarvis_ear.spool.ledger import Ledger


def test_a_service_a_session_and_a_user_have_their_folders(tmp_path):
    ours = f"jarvis-ear-{os.geteuid()}"
    session = {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": "/t", "HOME": "/h"}
    service = {"RUNTIME_DIRECTORY": "/run/ear:/run/two", "STATE_DIRECTORY": "/var/lib/ear:/two"}
    assert str(runtime_folder({**session, **service})) == "/run/ear"
    assert runtime_folder(session) == tmp_path / "jarvis-ear"
    assert str(runtime_folder({"XDG_RUNTIME_DIR": "/gone", "TMPDIR": "/t"})) == f"/t/{ours}"
    assert runtime_folder({}).name == ours
    assert str(state_folder({**session, **service})) == "/var/lib/ear"
    assert str(state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"})) == "/s/jarvis-ear"
    assert str(state_folder(session)) == "/h/.local/state/jarvis-ear"
    assert [str(each) for each in state_folders({**session, **service})] == [
        *("/var/lib/ear", "/var/lib/jarvis-ear", "/h/.local/state/jarvis-ear")
    ]
    assert str(state_folder({})) == "/nonexistent/.local/state/jarvis-ear"
    two = {"RUNTIME_DIRECTORY": "/run/ear:/run/ear/spool"}
    assert str(paths.spool_folder(two)) == "/run/ear/spool"
    assert str(paths.spool_folder({"RUNTIME_DIRECTORY": "/run/ear"})) == "/run/ear"
    assert paths.spool_folder({"TMPDIR": "/t"}) == runtime_folder({"TMPDIR": "/t"})


def test_a_service_and_a_person_have_their_sockets(tmp_path):
    given = {"RUNTIME_DIRECTORY": f"{tmp_path}/one:{tmp_path}/two", "XDG_RUNTIME_DIR": "/other"}
    assert control_folder(given) == tmp_path / "one"
    assert next(sockets(given)) == tmp_path / "one" / "control"
    given = {"XDG_RUNTIME_DIR": str(tmp_path)}
    folder = control_folder(given)
    assert folder == tmp_path / "jarvis-ear" == control_folder(given)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(sockets(given)) == [paths.SERVICE / "control", folder / "control"]
    _, socket = sockets({})
    assert socket.parts[1:] == ("tmp", f"jarvis-ear-{os.getuid()}", "control")


def test_a_folder_that_others_may_write_and_a_link_are_refused(tmp_path):
    folder, elsewhere = tmp_path / "jarvis-ear", tmp_path / "elsewhere"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="does not belong to us alone"):
        control_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    folder.rmdir()
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    with pytest.raises(PermissionError):
        control_folder({"XDG_RUNTIME_DIR": str(tmp_path)})


def test_a_file_is_written_whole_and_is_private_as_its_folder_is(tmp_path):
    path = tmp_path / "ours" / "one.json"
    for text in ("first", "second"):
        paths.write_whole(path, text)
        assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    path.with_suffix(".new").write_text("part of a file, as a crash leaves it")
    paths.write_whole(path, "whole")
    assert path.read_text() == "whole"
    with pytest.raises(OSError, match=r"one\.json"):
        paths.write_whole(path / "two.json", "text")


def make_link(path: Path) -> None:
    """Lead to a file that says what ours would say."""
    other = path.with_name("other")
    content = {"by": [], "awake_night": "", "day": "2026-05-01", "seconds": 7, "at": 0, "gone_s": 1}
    other.write_text(json.dumps(content))
    other.chmod(0o600)
    path.symlink_to(other)


MAKERS = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "link": make_link,
    "device": lambda path: path.symlink_to("/dev/zero"),
}
# What waits for such a file hangs: the time limit of pytest ends the run and says where.
strange = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
no_regular_file = pytest.mark.parametrize(
    "make", [MAKERS[name] for name in ("pipe", "folder", "device")]
)


@strange
def test_a_strange_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "file")
    with pytest.raises(OSError, match=r"not a regular file|symbolic links"):
        read_regular(tmp_path / "file", 100)
    with paths.PrivateFolder(tmp_path) as folder, pytest.raises(OSError):  # noqa: PT011 - several texts
        folder.read("file", 100)


@no_regular_file
def test_a_file_named_by_the_owner_is_no_pipe_folder_or_device(tmp_path, make):
    make(tmp_path / "file")
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(tmp_path / "file", 100, follow=True)
    with pytest.raises(ConfigError, match="not a regular file, expected a file of PEM"):
        TrustStore(tmp_path / "file")
    assert "not a regular file" in read_file(SCHEMA, tmp_path / "file", required=True).problems[0]


def test_a_link_named_by_the_owner_is_followed(tmp_path):
    make_link(tmp_path / "file")
    data, found = read_regular(tmp_path / "file", 1000, follow=True)
    assert json.loads(data)["seconds"] == 7
    assert found.st_mode & 0o777 == 0o600
    assert read_secret(tmp_path / "file").startswith("{")


def test_a_file_that_is_too_long_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="longer than 100 bytes"):
        read_regular(tmp_path / "file", 100)
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert read_regular(tmp_path / "file", 100)[0] == b"x" * 100


def test_a_descriptor_is_not_left_open(tmp_path):
    os.mkfifo(tmp_path / "file")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, no paths
    for _ in range(5):
        with pytest.raises(OSError, match="not a regular file"):
            paths.open_regular(tmp_path / "file", os.O_RDONLY)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names, no paths


@strange
def test_no_part_uses_or_waits_for_a_strange_file(tmp_path, make, caplog):
    for name in ("mute.json", FILE, LOSS_FILE, "ledger.jsonl", "ab-000.wav"):
        (tmp_path / "other").unlink(missing_ok=True)
        make(tmp_path / name)
    assert Mute(tmp_path, None).load()
    assert "cannot be read, so the ear stays muted" in caplog.text
    deaf = DeafTime(lambda: date(2026, 5, 1), tmp_path)
    deaf.look(0, deaf=False)
    assert deaf.seconds == 0
    assert LossFile(tmp_path, lambda: 0.0).carried_s() == 0
    ledger = Ledger(tmp_path, lambda: 0.0)
    assert ledger.recorded() == {}
    ledger.verdict(Finished("ab", Verdict.DONE, "", 1))
    assert ledger.unwritten == 1
    before = (tmp_path / "other").read_bytes() if make is make_link else b""
    files = ReplyFiles(tmp_path)
    files.save("ab", 0, b"sound")
    assert files.failures == 1
    assert before == ((tmp_path / "other").read_bytes() if make is make_link else b"")


def test_the_options_of_a_user_are_read_if_there_are_any_and_those_of_the_service_otherwise(
    tmp_path, monkeypatch
):
    home = {"HOME": str(tmp_path)}
    own = tmp_path / ".config" / "jarvis-ear" / "config.toml"
    assert paths.user_config_file(home) is None
    assert load([], home).config.backend.agent_id == "jarvis-ear"
    own.parent.mkdir(parents=True)
    own.write_text('[backend]\nagent_id = "desk"\n')
    assert load([], home).config.backend.agent_id == "desk"
    assert load([], {**home, "XDG_CONFIG_HOME": "relative"}).config.backend.agent_id == "desk"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert COMMAND_LINE.load([]).config.backend.agent_id == "desk"
    service = {**home, "STATE_DIRECTORY": str(tmp_path)}  # its hooks may write there
    assert load([], service).config.backend.agent_id == "jarvis-ear"
    elsewhere = tmp_path / "elsewhere"
    assert paths.user_settings({**home, "XDG_CONFIG_HOME": str(elsewhere)}).parent == elsewhere
    monkeypatch.setattr(os, "geteuid", lambda: own.stat().st_uid + 1)
    assert load([], home).config.backend.agent_id == "jarvis-ear"
