import pytest

from jarvis_ear.paths import write_whole


def test_the_file_and_its_folder_are_private(tmp_path):
    path = tmp_path / "ours" / "one.json"
    for text in ("first", "second"):
        write_whole(path, text)
        assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_partial_file_of_a_crash_is_replaced(tmp_path):
    path = tmp_path / "one.json"
    path.with_suffix(".new").write_text("ha")
    write_whole(path, "whole")
    assert path.read_text() == "whole"


def test_an_impossible_path_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_whole(tmp_path / "file" / "one.json", "text")
