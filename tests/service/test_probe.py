"""What the probe finds on this machine."""

import subprocess
from pathlib import Path

import pytest

from jarvis_ear.errors import ServiceError
from jarvis_ear.service import probe as module
from jarvis_ear.service.probe import Layout, StoredCredentials, probe, stored_credentials


def test_an_empty_folder_has_nothing(tmp_path):
    found = probe(Layout(root=tmp_path))
    assert found.python_tag.startswith("cpython-3")
    assert (found.credentials.names, found.releases, found.has_backend) == (frozenset(), (), False)
    assert (found.has_release, found.has_user, found.is_managed) == (False, False, False)


def test_an_installation_is_found(tmp_path):
    layout = Layout(root=tmp_path)
    for path in (layout.unit("jarvis-backend"), layout.encrypted / "jarvis-password"):
        layout.at(path).parent.mkdir(parents=True, exist_ok=True)
        layout.at(path).touch()
    layout.at(layout.releases / "1").mkdir(parents=True)
    layout.at(layout.current).symlink_to("releases/1")
    found = probe(layout)
    assert found.credentials.names == {"jarvis-password"}
    assert [release.name for release in found.releases] == ["1"]
    assert found.has_backend
    assert found.has_release


def test_encrypted_credentials_are_distinguished(tmp_path):
    layout = Layout(root=tmp_path)
    for path in (layout.credentials / "jarvis-bus-key", layout.encrypted / "jarvis-password"):
        layout.at(path).parent.mkdir(parents=True)
        layout.at(path).touch()
    kept = stored_credentials(layout)
    assert kept == StoredCredentials(
        frozenset({"jarvis-bus-key", "jarvis-password"}), frozenset({"jarvis-password"})
    )


def test_without_rights_the_drop_ins_name_the_credentials(tmp_path, monkeypatch):
    layout = Layout(root=tmp_path)
    assert not stored_credentials(layout).names
    dropin = layout.at(layout.credentials_dropin("jarvis-ear"))
    dropin.parent.mkdir(parents=True)
    dropin.write_text("[Service]\nLoadCredentialEncrypted=jarvis-password:/etc/x\n")

    def closed(_path):
        raise PermissionError

    monkeypatch.setattr(Path, "exists", closed)
    kept = stored_credentials(layout)
    assert (kept.encrypted, kept.is_complete) == ({"jarvis-password"}, False)


def test_a_failing_service_is_starting_and_not_stopped(tmp_path, monkeypatch):
    (tmp_path / "manager").mkdir()
    monkeypatch.setattr(module, "MANAGER", tmp_path / "manager")
    states = {"jarvis-ear": "activating", "jarvis-backend": "active"}

    def run(argv):
        state = states.get(argv[2].removesuffix(".service"), "")
        text = f"ActiveState={state}\nUnitFileState=disabled\n"
        return subprocess.CompletedProcess(argv, 0, text, "")

    monkeypatch.setattr(module, "_python", lambda: ("/usr/bin/python3", "cpython-311"))
    monkeypatch.setattr(module, "run", run)
    found = probe(Layout())
    assert (found.active, found.starting) == ({"jarvis-backend"}, {"jarvis-ear"})
    assert found.enabled == frozenset()


def test_a_machine_without_python_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "PYTHONS", ("python3-not-there",))
    with pytest.raises(ServiceError, match=r"expected Python 3\.11 or newer in /usr/bin"):
        probe(Layout(root=tmp_path))


def test_an_unusable_python_is_explained(monkeypatch, tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho 'is older than 3.11' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(module, "PYTHONS", (str(python),))
    with pytest.raises(ServiceError, match=f"^{python} is older than 3.11$"):
        probe(Layout(root=tmp_path))
