"""Something else in the place of a small file is refused without waiting."""

import json
import os
from datetime import date
from pathlib import Path

import pytest

from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.devices.output import ReplyFiles
from jarvis_ear.errors import ConfigError
from jarvis_ear.health.deaf_time import DeafTime
from jarvis_ear.link.tls_and_tcp import TrustStore
from jarvis_ear.mute import Mute
from jarvis_ear.options.sources import read_file, read_secret
from jarvis_ear.paths import PrivateFolder, open_regular, read_regular
from jarvis_ear.schema import SCHEMA
from jarvis_ear.spool.ledger import Ledger


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    """Lead to a file that says what ours would say."""
    other = path.with_name("other")
    other.write_text(json.dumps({"by": [], "awake_night": "", "day": "2026-05-01", "seconds": 7}))
    other.chmod(0o600)
    path.symlink_to(other)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


# What waits for such a file hangs: the time limit of pytest ends the run and says where.
STRANGE = [make_pipe, make_folder, make_link, make_device]


@pytest.mark.parametrize("make", STRANGE)
def test_it_is_refused_at_once(tmp_path, make):
    make(tmp_path / "file")
    with pytest.raises(OSError, match=r"no regular file|symbolic links"):
        read_regular(tmp_path / "file", 100)
    with PrivateFolder(tmp_path) as folder, pytest.raises(OSError):  # noqa: PT011 - several texts
        folder.read("file", 100)


@pytest.mark.parametrize("make", [make_pipe, make_folder, make_device])
def test_a_file_named_by_the_owner_may_be_a_link_but_no_pipe(tmp_path, make):
    make(tmp_path / "file")
    with pytest.raises(OSError, match="no regular file"):
        read_regular(tmp_path / "file", 100, follow=True)


def test_a_link_named_by_the_owner_is_followed(tmp_path):
    make_link(tmp_path / "file")
    data, found = read_regular(tmp_path / "file", 1000, follow=True)
    assert json.loads(data)["seconds"] == 7
    assert found.st_mode & 0o777 == 0o600
    assert read_secret(tmp_path / "file").startswith("{")


def test_a_file_that_is_too_long(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="longer than 100 bytes"):
        read_regular(tmp_path / "file", 100)
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert read_regular(tmp_path / "file", 100)[0] == b"x" * 100


def test_a_descriptor_is_not_left_open(tmp_path):
    make_pipe(tmp_path / "file")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, no paths
    for _ in range(5):
        with pytest.raises(OSError, match="no regular file"):
            open_regular(tmp_path / "file", os.O_RDONLY)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names, no paths


@pytest.mark.parametrize("make", STRANGE)
def test_a_mute_that_cannot_be_read_is_a_mute(tmp_path, make, caplog):
    make(tmp_path / "mute.json")
    mute = Mute(tmp_path, None)
    assert mute.load()
    assert "cannot be read, so the ear stays muted" in caplog.text


@pytest.mark.parametrize("make", STRANGE)
def test_the_deaf_time_starts_anew(tmp_path, make):
    make(tmp_path / "deaf.json")
    deaf = DeafTime(lambda: date(2026, 5, 1), tmp_path)
    deaf.look(0, deaf=False)
    assert deaf.seconds == 0


@pytest.mark.parametrize("make", STRANGE)
def test_the_ledger_is_read_and_written_without_waiting(tmp_path, make):
    make(tmp_path / "ledger.jsonl")
    ledger = Ledger(tmp_path, lambda: 0.0)
    assert ledger.recorded() == {}
    ledger.verdict(Finished("ab", Verdict.DONE, "", 1))
    assert ledger.unwritten == 1


@pytest.mark.parametrize("make", STRANGE)
def test_a_reply_is_not_written_into_it(tmp_path, make):
    make(tmp_path / "ab-000.wav")
    before = (tmp_path / "other").read_bytes() if make is make_link else b""
    files = ReplyFiles(tmp_path)
    files.save("ab", 0, b"sound")
    assert files.failures == 1
    assert before == ((tmp_path / "other").read_bytes() if make is make_link else b"")


@pytest.mark.parametrize("make", [make_pipe, make_folder, make_device])
def test_invalid_certificate_and_options_files_are_reported(tmp_path, make):
    make(tmp_path / "file")
    with pytest.raises(ConfigError, match="no regular file, expected a file of PEM"):
        TrustStore(tmp_path / "file")
    assert "no regular file" in read_file(SCHEMA, tmp_path / "file", required=True).problems[0]
