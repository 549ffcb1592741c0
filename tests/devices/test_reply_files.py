import logging
import stat

import pytest

from jarvis_ear.devices.output import ReplyFiles, file_name


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_piece_becomes_a_file_of_its_owner(tmp_path):
    folder = tmp_path / "new" / "replies"
    files = ReplyFiles(folder)
    files.save("7f3a", 2, b"RIFF")
    path = folder / "7f3a-002.wav"
    assert path.read_bytes() == b"RIFF"
    assert (mode(path), mode(folder)) == (0o600, 0o700)


def test_a_file_of_the_same_name_is_replaced(tmp_path):
    files = ReplyFiles(tmp_path)
    files.save("a", 0, b"longer")
    files.save("a", 0, b"new")
    assert (tmp_path / "a-000.wav").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("turn_id", "index", "name"),
    [
        ("../../etc/passwd", 0, "______etc_passwd-000.wav"),
        ("/etc/x", 12, "_etc_x-012.wav"),
        ("", 1, "turn-001.wav"),
        ("a\0b\n", 1000, "a_b_-1000.wav"),
        ("ü" * 500, 1, "_" * 64 + "-001.wav"),
        ("a", -1, "a-999999.wav"),
        ("a", 10**300, "a-000.wav"),
    ],
)
def test_names_never_become_paths(turn_id, index, name):
    assert file_name(turn_id, index) == name


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    (tmp_path / "a-000.wav").symlink_to(tmp_path / "victim")
    files = ReplyFiles(tmp_path)
    files.save("a", 0, b"RIFF")
    assert not (tmp_path / "victim").exists()
    assert files.failures == 1


def test_a_folder_that_cannot_be_written_is_warned_of_once(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "file").touch()
    files = ReplyFiles(tmp_path / "file")
    files.save("a", 0, b"RIFF")
    files.save("a", 1, b"RIFF")
    assert files.failures == 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG"]
