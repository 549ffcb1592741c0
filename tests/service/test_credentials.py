"""Secrets are read, asked for or generated, and encrypted where that is possible."""

import subprocess

import pytest

from jarvis_ear.errors import ConfigError
from jarvis_ear.service import credentials


class Terminal:
    def __init__(self, *, is_there: bool) -> None:
        self.is_there = is_there

    def isatty(self) -> bool:
        return self.is_there


@pytest.fixture
def typed(monkeypatch):
    """A person at a terminal, who types this."""

    def person(text):
        monkeypatch.setattr("sys.stdin", Terminal(is_there=True))
        monkeypatch.setattr("getpass.getpass", lambda _question: text)

    return person


@pytest.fixture
def nobody(monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal(is_there=False))


def test_a_password_file_must_be_private(tmp_path):
    file = tmp_path / "password"
    file.write_text("geheim\n")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"--password-file: .* is refused: others may read it"):
        credentials.read_password(file, backend_needs_one=False)
    file.chmod(0o600)
    assert credentials.read_password(file, backend_needs_one=False) == "geheim"


def test_a_missing_password_file_is_reported(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        credentials.read_password(tmp_path / "gone", backend_needs_one=False)


def test_a_person_is_asked(typed):
    typed("geheim")
    assert credentials.read_password(None, backend_needs_one=True) == "geheim"
    typed("")
    assert credentials.read_password(None, backend_needs_one=False) is None


def test_the_question_names_the_backend(typed, monkeypatch):
    typed("geheim")
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda question: asked.append(question) or "geheim")
    credentials.read_password(None, backend_needs_one=False, url="http://192.168.1.20:4000")
    assert asked == [
        "Password of the backend at http://192.168.1.20:4000 (Enter alone: the backend has none): "
    ]


def test_our_own_backend_gets_a_generated_password(typed):
    typed("")
    one, other = (credentials.read_password(None, backend_needs_one=True) for _ in range(2))
    assert len(one) >= 32
    assert one != other


def test_without_a_terminal_there_is_no_prompt(nobody):
    assert credentials.read_password(None, backend_needs_one=False) is None
    assert credentials.read_password(None, backend_needs_one=True)


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
