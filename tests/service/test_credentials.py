"""Secrets are read, asked for or generated, and encrypted where that is possible."""

import subprocess
from types import SimpleNamespace

import pytest

from jarvis_ear.errors import ConfigError
from jarvis_ear.service import credentials


@pytest.fixture
def typed(monkeypatch):
    """Let a person at a terminal type this, or (None) be away; gives the questions."""
    asked = []

    def person(text):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: text is not None))
        monkeypatch.setattr("getpass.getpass", lambda question: asked.append(question) or text)
        return asked

    return person


def read(file=None, *, backend_needs_one=False, **more):
    return credentials.read_password(file, backend_needs_one=backend_needs_one, **more)


def test_a_password_file_must_be_there_and_private(tmp_path):
    file = tmp_path / "password"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(file)
    file.write_text("geheim\n")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"--password-file: .* is refused: others may read it"):
        read(file)
    file.chmod(0o600)
    assert read(file) == "geheim"


def test_a_person_is_asked_for_the_password_of_the_backend(typed):
    asked = typed("geheim")
    assert read(backend_needs_one=True) == "geheim"
    read(url="http://192.168.1.20:4000")
    name, rest = "http://192.168.1.20:4000", "(Enter alone: the backend has none): "
    assert asked[1:] == [f"Password of the backend at {name} {rest}"]
    typed("")
    assert read() is None


def test_our_own_backend_gets_a_generated_password(typed):
    typed("")
    one, other = (read(backend_needs_one=True) for _ in range(2))
    assert len(one) >= 32
    assert one != other


def test_without_a_terminal_there_is_no_prompt(typed):
    asked = typed(None)
    assert read() is None
    assert read(backend_needs_one=True)
    assert asked == []


@pytest.mark.parametrize(
    ("there", "status", "encrypted"),
    [("/bin/systemd-creds", 0, True), ("/bin/systemd-creds", 1, False), (None, 0, False)],
)
def test_a_secret_that_cannot_be_encrypted_stays_as_it_is(monkeypatch, there, status, encrypted):
    asked = []

    def run(argv, **how):
        asked.append((argv, how["input"]))
        return subprocess.CompletedProcess(argv, status, b"encrypted", b"")

    monkeypatch.setattr("shutil.which", lambda _tool: there)
    monkeypatch.setattr(subprocess, "run", run)
    kept = credentials.encrypt({"jarvis-password": "geheim"})["jarvis-password"]
    assert kept.is_encrypted is encrypted
    assert kept.content == (b"encrypted" if encrypted else b"geheim")
    assert all(b"geheim" not in " ".join(argv).encode() for argv, _ in asked)
    assert "geheim" not in repr(kept)
