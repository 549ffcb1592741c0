"""What is found on this machine."""

import subprocess

import pytest

from jarvis_ear.errors import ServiceError
from jarvis_ear.service import facts
from jarvis_ear.service.facts import Layout


def test_an_empty_folder_has_nothing(tmp_path):
    found = facts.look(Layout(root=tmp_path))
    assert found.python_tag.startswith("cpython-3")
    assert (found.stored, found.releases, found.has_backend) == (frozenset(), (), False)
    assert (found.has_release, found.has_user, found.is_managed) == (False, False, False)


def test_what_lies_there_is_seen(tmp_path):
    layout = Layout(root=tmp_path)
    for path in (layout.unit("jarvis-backend"), layout.sealed / "jarvis-password"):
        layout.at(path).parent.mkdir(parents=True, exist_ok=True)
        layout.at(path).touch()
    layout.at(layout.releases / "1").mkdir(parents=True)
    layout.at(layout.current).symlink_to("releases/1")
    found = facts.look(layout)
    assert found.stored == {"jarvis-password"}
    assert [release.name for release in found.releases] == ["1"]
    assert found.has_backend
    assert found.has_release


def test_what_is_encrypted_is_told_apart(tmp_path):
    layout = Layout(root=tmp_path)
    for path in (layout.secrets / "jarvis-bus-key", layout.sealed / "jarvis-password"):
        layout.at(path).parent.mkdir(parents=True)
        layout.at(path).touch()
    kept = facts.credentials(layout)
    assert kept == facts.StoredCredentials(
        frozenset({"jarvis-bus-key", "jarvis-password"}), frozenset({"jarvis-password"})
    )


def test_who_may_not_look_at_the_credentials_reads_the_drop_ins(tmp_path, monkeypatch):
    layout = Layout(root=tmp_path)
    assert not facts.credentials(layout).stored
    dropin = layout.at(layout.sealed_dropin("jarvis-ear"))
    dropin.parent.mkdir(parents=True)
    dropin.write_text("[Service]\nLoadCredentialEncrypted=jarvis-password:/etc/x\n")

    def closed(_path):
        raise PermissionError

    monkeypatch.setattr(facts.Path, "exists", closed)
    kept = facts.credentials(layout)
    assert (kept.sealed, kept.is_complete) == ({"jarvis-password"}, False)


def test_a_service_that_fails_again_and_again_is_told_from_one_that_is_stopped(
    tmp_path, monkeypatch
):
    (tmp_path / "manager").mkdir()
    monkeypatch.setattr(facts, "MANAGER", tmp_path / "manager")
    states = {"jarvis-ear": "activating", "jarvis-backend": "active"}

    def said(argv):
        words = {"show": states[argv[-1]]} if argv[0] == "systemctl" else {}
        return subprocess.CompletedProcess(argv, 1, words.get(argv[1], "cpython-311 /usr\n"), "")

    monkeypatch.setattr(facts, "_python", lambda: ("/usr/bin/python3", "cpython-311"))
    monkeypatch.setattr(facts, "_said", said)
    found = facts.look(Layout())
    assert (found.active, found.starting) == ({"jarvis-backend"}, {"jarvis-ear"})


def test_a_machine_without_a_python_for_services_is_told_why(monkeypatch, tmp_path):
    monkeypatch.setattr(facts, "PYTHONS", ("python3-not-there",))
    with pytest.raises(ServiceError, match=r"expected Python 3\.11 or newer in /usr/bin"):
        facts.look(Layout(root=tmp_path))


def test_a_python_that_will_not_do_says_why(monkeypatch, tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho 'is older than 3.11' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(facts, "PYTHONS", (str(python),))
    with pytest.raises(ServiceError, match=f"^{python} is older than 3.11$"):
        facts.look(Layout(root=tmp_path))
