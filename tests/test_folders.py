import os

import pytest

from jarvis_ear import paths
from jarvis_ear.paths import control_folder, runtime_folder, sockets, spool_folder, state_folder


def test_a_service_a_session_and_a_user_have_their_folders(tmp_path):
    session = {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": "/t", "HOME": "/h"}
    service = {"RUNTIME_DIRECTORY": "/run/ear:/run/two", "STATE_DIRECTORY": "/var/lib/ear:/two"}
    assert str(runtime_folder({**session, **service})) == "/run/ear"
    assert runtime_folder(session) == tmp_path / "jarvis-ear"
    gone = {"XDG_RUNTIME_DIR": "/gone", "TMPDIR": "/t"}
    assert str(runtime_folder(gone)) == f"/t/jarvis-ear-{os.geteuid()}"
    assert runtime_folder({}).name == f"jarvis-ear-{os.geteuid()}"
    assert str(state_folder({**session, **service})) == "/var/lib/ear"
    assert str(state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"})) == "/s/jarvis-ear"
    assert str(state_folder(session)) == "/h/.local/state/jarvis-ear"
    assert str(state_folder({})) == "/nonexistent/.local/state/jarvis-ear"


def test_utterances_are_spooled_in_a_private_folder():
    assert str(spool_folder({"RUNTIME_DIRECTORY": "/run/ear:/run/ear/spool"})) == "/run/ear/spool"
    assert str(spool_folder({"RUNTIME_DIRECTORY": "/run/ear"})) == "/run/ear"
    assert spool_folder({"TMPDIR": "/t"}) == runtime_folder({"TMPDIR": "/t"})


def test_the_folders_of_the_service_manager_are_used(tmp_path):
    given = {"RUNTIME_DIRECTORY": f"{tmp_path}/one:{tmp_path}/two", "XDG_RUNTIME_DIR": "/other"}
    assert control_folder(given) == tmp_path / "one"
    assert next(sockets(given)) == tmp_path / "one" / "control"


def test_a_person_has_a_folder_of_their_own(tmp_path):
    given = {"XDG_RUNTIME_DIR": str(tmp_path)}
    folder = control_folder(given)
    assert folder == tmp_path / "jarvis-ear" == control_folder(given)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(sockets(given)) == [paths.SERVICE / "control", folder / "control"]


def test_without_a_runtime_folder_there_is_tmp():
    _, socket = sockets({})
    assert socket.parts[1:] == ("tmp", f"jarvis-ear-{os.getuid()}", "control")


def test_a_folder_that_others_may_write_is_refused(tmp_path):
    (tmp_path / "jarvis-ear").mkdir()
    (tmp_path / "jarvis-ear").chmod(0o777)
    with pytest.raises(PermissionError, match="does not belong to us alone"):
        control_folder({"XDG_RUNTIME_DIR": str(tmp_path)})


def test_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "jarvis-ear").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        control_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
