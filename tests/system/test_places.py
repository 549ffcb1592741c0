import os

import pytest

from jarvis_ear.system import places
from jarvis_ear.system.folders import state_folder
from jarvis_ear.system.places import runtime_folder, sockets


def test_the_service_manager_is_believed(tmp_path):
    given = {"RUNTIME_DIRECTORY": f"{tmp_path}/one:{tmp_path}/two", "XDG_RUNTIME_DIR": "/other"}
    assert runtime_folder(given) == tmp_path / "one"
    assert next(sockets(given)) == tmp_path / "one" / "control"
    assert state_folder({"STATE_DIRECTORY": f"{tmp_path}/s"}) == tmp_path / "s"


def test_a_person_has_a_folder_of_their_own(tmp_path):
    given = {"XDG_RUNTIME_DIR": str(tmp_path)}
    folder = runtime_folder(given)
    assert folder == tmp_path / "jarvis-ear" == runtime_folder(given)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(sockets(given)) == [folder / "control", places.SERVICE / "control"]


def test_without_a_runtime_folder_there_is_tmp():
    socket, _ = sockets({})
    assert socket.parts[1:] == ("tmp", f"jarvis-ear-{os.getuid()}", "control")


def test_state_has_its_usual_places(tmp_path):
    assert state_folder({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "jarvis-ear"
    assert state_folder({"HOME": str(tmp_path)}) == tmp_path / ".local" / "state" / "jarvis-ear"


def test_a_folder_that_others_may_write_is_refused(tmp_path):
    (tmp_path / "jarvis-ear").mkdir()
    (tmp_path / "jarvis-ear").chmod(0o777)
    with pytest.raises(PermissionError, match="does not belong to us alone"):
        runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)})


def test_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "jarvis-ear").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
