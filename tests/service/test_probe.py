"""What the probe finds on this machine."""

import subprocess
from pathlib import Path

import pytest

from jarvis_ear.errors import ServiceError
from jarvis_ear.service import probe as module
from jarvis_ear.service.probe import Layout, StoredCredentials, probe, stored_credentials


def touch(layout, *paths):
    for path in map(layout.at, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def layout(tmp_path):
    return Layout(root=tmp_path)


def test_an_empty_folder_has_nothing(layout):
    found = probe(layout)
    assert found.python_tag.startswith("cpython-3")
    assert (found.credentials.names, found.releases, found.has_backend) == (frozenset(), (), False)
    assert (found.has_release, found.has_user, found.is_managed) == (False, False, False)


def test_an_installation_is_found(layout):
    touch(layout, layout.unit("jarvis-backend"), layout.encrypted / "jarvis-password")
    layout.at(layout.releases / "1").mkdir(parents=True)
    layout.at(layout.current).symlink_to("releases/1")
    found = probe(layout)
    assert found.credentials.names == {"jarvis-password"}
    assert [release.name for release in found.releases] == ["1"]
    assert found.has_backend
    assert found.has_release


def test_encrypted_credentials_are_distinguished(layout):
    encrypted, plain = layout.encrypted / "jarvis-password", layout.credentials / "jarvis-bus-key"
    touch(layout, encrypted, plain)
    names = frozenset({encrypted.name, plain.name})
    expected = StoredCredentials(names, frozenset({encrypted.name}))
    assert stored_credentials(layout) == expected


def test_without_rights_the_drop_ins_name_the_credentials(layout, monkeypatch):
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

    monkeypatch.setattr(module, "_python", lambda **_: ("/usr/bin/python3", "cpython-311"))
    monkeypatch.setattr(module, "run", run)
    found = probe(Layout())
    assert (found.active, found.starting) == ({"jarvis-backend"}, {"jarvis-ear"})
    assert found.enabled == frozenset()


def test_a_missing_or_unusable_python_is_explained(layout, monkeypatch, tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho 'is older than 3.11' >&2; exit 1\n")
    python.chmod(0o755)
    for name, words in (
        ("python3-not-there", r"expected Python 3\.11 or newer in /usr/bin"),
        (str(python), f"^{python} is older than 3.11$"),
    ):
        monkeypatch.setattr(module, "PYTHONS", (name,))
        with pytest.raises(ServiceError, match=words):
            probe(layout)
