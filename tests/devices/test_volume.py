import stat

import pytest

from jarvis_ear.devices.volume import FILE, Volume


def test_the_configured_volume_counts_until_another_is_set_which_survives_a_restart(tmp_path):
    volume = Volume(80, tmp_path)
    assert volume.percent == 80
    volume.set(40)
    assert (volume.percent, volume.stored) == (40, True)
    assert Volume(80, tmp_path).percent == 40
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_reload_counts_only_with_another_value(tmp_path):
    volume = Volume(80, tmp_path)
    volume.set(40)
    volume.change(80)
    assert volume.percent == 40
    volume.change(60)
    assert volume.percent == 60
    assert Volume(60, tmp_path).percent == 60


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"percent": 101}', '{"percent": "7"}', "[" * 200, "\xff"]
)
def test_a_file_that_cannot_be_read_is_one_warning(tmp_path, log, content):
    (tmp_path / FILE).write_bytes(content.encode("latin-1"))
    assert Volume(80, tmp_path).percent == 80
    assert len(log.messages) == 1
    assert f"{tmp_path / FILE} cannot be read, so speaker.volume counts: " in log.messages[0]


def test_a_volume_that_cannot_be_stored_counts_until_a_restart(tmp_path, log):
    (tmp_path / "file").touch()
    volume = Volume(80, tmp_path / "file")
    volume.set(40)
    assert (volume.percent, volume.stored) == (40, False)
    assert "a restart will not know the volume: " in log.messages[-1]


def test_without_a_folder_a_volume_is_in_memory():
    volume = Volume(80)
    volume.set(0)
    assert (volume.percent, volume.stored) == (0, True)
