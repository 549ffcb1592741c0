import os
from pathlib import Path

import pytest

from jarvis_ear.options.sources import SecretFileError, read_private_secret, read_secret


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "password"
    path.write_text("open sesame\n")
    path.chmod(0o600)
    return path


def test_a_byte_order_mark_is_no_part_of_a_password(secret):
    secret.write_bytes(b"\xef\xbb\xbfopen sesame\r\n")
    assert read_private_secret(secret) == read_secret(secret) == "open sesame"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_read_without_its_line_end(secret, mode):
    secret.chmod(mode)
    assert read_private_secret(secret) == "open sesame"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_may_use_is_refused(secret, mode):
    secret.chmod(mode)
    before = open_files()
    with pytest.raises(SecretFileError, match=rf"mode {mode:04o}\), expected 0600"):
        read_private_secret(secret)
    assert open_files() == before


def test_a_file_of_somebody_else_is_refused(secret, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    owner = secret.stat().st_uid
    if owner == 0:
        assert read_private_secret(secret) == "open sesame"  # root may give us one
        os.chown(secret, 4712, -1)
        owner = 4712
    with pytest.raises(SecretFileError, match=f"belongs to user {owner}, expected us or root"):
        read_private_secret(secret)


def test_the_service_managers_file_needs_no_mode(secret):
    secret.chmod(0o444)
    assert read_secret(secret) == "open sesame"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "empty"), (b"\n", "empty"), (b"\xff\xfe", "not text")],
)
def test_content_that_is_no_password_is_refused(secret, content, complaint):
    secret.write_bytes(content)
    with pytest.raises(SecretFileError, match=complaint):
        read_private_secret(secret)


def test_a_file_that_is_too_long_for_a_password_is_refused(secret):
    secret.write_text("x" * 4097)
    with pytest.raises(OSError, match="longer than 4096 bytes"):
        read_private_secret(secret)


def test_spaces_belong_to_the_password(secret):
    secret.write_text(" open  sesame \r\n")
    assert read_private_secret(secret) == " open  sesame "


def test_a_folder_or_a_pipe_is_no_file(tmp_path):
    before = open_files()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OSError, match="no regular file"):
            read_secret(path)
    assert open_files() == before


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_private_secret(tmp_path / "gone")
