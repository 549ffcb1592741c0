import os

from jarvis_ear.system.folders import runtime_folder, spool_folder, state_folder


def test_sentences_wait_where_nobody_else_is_let_in():
    assert str(spool_folder({"RUNTIME_DIRECTORY": "/run/ear:/run/ear/spool"})) == "/run/ear/spool"
    assert str(spool_folder({"RUNTIME_DIRECTORY": "/run/ear"})) == "/run/ear"
    assert spool_folder({"TMPDIR": "/t"}) == runtime_folder({"TMPDIR": "/t"})


def test_a_service_a_session_and_a_user_have_their_folders(tmp_path):
    session = {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": "/t", "HOME": "/h"}
    service = {"RUNTIME_DIRECTORY": "/run/ear:/run/two", "STATE_DIRECTORY": "/var/lib/ear"}
    assert str(runtime_folder({**session, **service})) == "/run/ear"
    assert runtime_folder(session) == tmp_path / "jarvis-ear"
    assert str(runtime_folder({"XDG_RUNTIME_DIR": "/gone", "TMPDIR": "/t"})).startswith(
        "/t/jarvis-"
    )
    assert runtime_folder({}).name == f"jarvis-ear-{os.geteuid()}"
    assert str(state_folder({**session, **service})) == "/var/lib/ear"
    assert str(state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"})) == "/s/jarvis-ear"
    assert str(state_folder(session)) == "/h/.local/state/jarvis-ear"
    assert str(state_folder({})) == "/nonexistent/.local/state/jarvis-ear"
