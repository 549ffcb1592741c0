import pytest

from jarvis_ear.paths import write_whole


def test_it_is_written_with_its_folder_for_our_eyes_only(tmp_path):
    path = tmp_path / "ours" / "one.json"
    for text in ("first", "second"):
        write_whole(path, text)
        assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_what_a_crash_left_half_written_is_no_hindrance(tmp_path):
    path = tmp_path / "one.json"
    path.with_suffix(".new").write_text("ha")
    write_whole(path, "whole")
    assert path.read_text() == "whole"


def test_a_place_that_is_none_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_whole(tmp_path / "file" / "one.json", "text")
