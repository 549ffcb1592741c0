"""A password is recognised by its hash, which does not give it away."""

import io

import pytest
from starlette.testclient import TestClient

from fakes.engines import scripted
from jarvis_backend import cli
from jarvis_backend.app import create_app
from jarvis_backend.auth import NotAHash, Password, hash_of
from jarvis_backend.config import BackendConfig, load
from jarvis_backend.errors import BackendConfigError


def test_a_hash_recognises_its_password_and_no_other():
    hashed = hash_of("geheim")
    assert "geheim" not in hashed
    assert hashed != hash_of("geheim")
    password = Password("jarvis", hashed)
    assert password.matches("geheim")
    assert not password.matches("jarvis")
    assert not password.matches("\ud800")


@pytest.mark.parametrize("text", ["x", "scrypt$a$b", "md5$AAAA$AAAA", "scrypt$AAAA$AAAA", "$$"])
def test_other_texts_are_no_hash(text, monkeypatch):
    with pytest.raises(NotAHash):
        Password("", text)
    monkeypatch.setenv("JARVIS_BACKEND_PASSWORD_HASH", text)
    with pytest.raises(BackendConfigError, match=r"PASSWORD_HASH: .* expected the output of"):
        load([])


def test_it_is_made_by_the_program_and_opens_the_door(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("geheim\n"))
    assert cli.main(["--hash-password"]) == 0
    hashed = capsys.readouterr().out.strip()
    with TestClient(create_app(BackendConfig(password_hash=hashed), scripted())) as client:

        def login(password):
            return client.post("/api/auth/login", json={"password": password}).status_code

        assert (login("geheim"), login("jarvis")) == (200, 401)


@pytest.mark.parametrize("said", ["", "\n", "\r\n"])
def test_no_password_has_no_hash(monkeypatch, capsys, said):
    monkeypatch.setattr("sys.stdin", io.StringIO(said))
    assert cli.main(["--hash-password"]) == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "jarvis-backend: --hash-password: standard input is empty, expected a password on a line\n"
    )


@pytest.mark.parametrize(("password", "is_warned"), [("1234567", True), ("12345678", False)])
def test_a_short_password_is_warned_about(monkeypatch, capsys, password, is_warned):
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    assert cli.main(["--hash-password"]) == 0
    assert ("under 8 characters" in capsys.readouterr().err) is is_warned
