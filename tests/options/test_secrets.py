"""Secrets: the files that hold them, which source wins, and that none is shown."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from jarvis_ear.errors import ConfigError
from jarvis_ear.options.option import value_of
from jarvis_ear.options.sources import SecretFileError, read_private_secret, read_secret
from jarvis_ear.schema import load


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "password"
    path.write_text("open sesame\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def open_files():
    """The number of open files, which a test must not change."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"\xef\xbb\xbfopen sesame\r\n", "open sesame"),
        (b"open sesame\n", "open sesame"),
        (b" open  sesame \r\n", " open  sesame "),
    ],
)
def test_a_secret_is_read_without_byte_order_mark_and_line_end(secret, content, password):
    secret.write_bytes(content)
    for mode in (0o600, 0o400):
        secret.chmod(mode)
        assert read_private_secret(secret) == read_secret(secret) == password


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601, 0o444])
def test_a_file_that_others_may_use_is_refused(secret, mode, open_files):
    secret.chmod(mode)
    with pytest.raises(SecretFileError, match=rf"mode {mode:04o}\), expected 0600"):
        read_private_secret(secret)
    assert read_secret(secret) == "open sesame"  # a file of the service manager may be


def test_a_file_of_another_user_is_refused(secret, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    owner = secret.stat().st_uid
    if owner == 0:
        assert read_private_secret(secret) == "open sesame"  # root may give us one
        os.chown(secret, 4712, -1)
        owner = 4712
    with pytest.raises(SecretFileError, match=f"belongs to user {owner}, expected us or root"):
        read_private_secret(secret)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "empty"), (b"\n", "empty"), (b"\xff\xfe", "not text"), (b"x" * 4097, "than 4096 bytes")],
)
def test_content_that_is_no_password_is_refused(secret, content, complaint):
    secret.write_bytes(content)
    with pytest.raises((OSError, SecretFileError), match=complaint):
        read_private_secret(secret)


def test_a_folder_a_pipe_and_a_missing_file_are_refused(tmp_path, open_files):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OSError, match="not a regular file"):
            read_secret(path)
    with pytest.raises(FileNotFoundError):
        read_private_secret(tmp_path / "gone")


PASSWORD_FILE = "--backend.password-file"
OWNER = {"JARVIS_PASSWORD": "hunter1"}
EAR = {"JARVIS_EAR_BACKEND__PASSWORD": "hunter2"}
NAMED = {"JARVIS_EAR_BACKEND__PASSWORD_FILE": "{secret}"}
CREDENTIAL = {"CREDENTIALS_DIRECTORY": "{folder}"}


@pytest.mark.parametrize(
    ("argv", "environ", "password"),
    [
        ([], {}, "open sesame"),
        ([], OWNER, "hunter1"),
        ([], OWNER | EAR, "hunter2"),
        ([], OWNER | NAMED, "open sesame"),
        ([PASSWORD_FILE, "{secret}"], OWNER | EAR, "open sesame"),
        ([], CREDENTIAL, "hunter3"),
        ([], CREDENTIAL | OWNER, "hunter1"),
    ],
)
def test_a_password_file_is_as_strong_as_the_source_that_names_it(
    secret, tmp_path, argv, environ, password
):
    file = tmp_path / "c.toml"
    file.write_text(f"[backend]\npassword_file = '{secret}'")
    (tmp_path / "jarvis-password").write_text("hunter3")
    places = {"secret": secret, "folder": tmp_path}
    argv = [word.format(**places) for word in argv]
    environ = {name: value.format(**places) for name, value in environ.items()}
    loaded = load(argv, environ, default_file=file)
    assert loaded.config.backend.password == SecretStr(password)
    assert password not in f"{loaded} {loaded!r} {loaded.config.model_dump_json()}"
    if argv:
        assert loaded.config.backend.password_file == secret
        assert loaded.origins["backend.password"] == (
            f"file {secret}, named by command line: {PASSWORD_FILE}"
        )


def refusal(*argv: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(argv, environ)
    return str(caught.value)


def test_a_password_file_that_cannot_be_used_is_refused(secret, tmp_path):
    gone = tmp_path / "gone"
    said = refusal(PASSWORD_FILE, str(gone))
    assert said.endswith(f"{gone} cannot be read: No such file or directory")
    variable = "JARVIS_EAR_BACKEND__PASSWORD"
    said = refusal(**{variable: "hunter2", f"{variable}_FILE": str(secret)})
    assert said.endswith("given together with backend.password, expected one of the two")
    assert "hunter2" not in said
    secret.chmod(0o644)
    assert refusal(PASSWORD_FILE, str(secret)) == (
        f"command line: backend.password_file: {secret} is refused: "
        "others may read it (mode 0644), expected 0600: use chmod 600"
    )


@pytest.mark.parametrize(
    ("key", "credential"),
    [
        ("bus.key", "jarvis-bus-key"),
        ("rooms.key", "jarvis-rooms-key"),
        ("mqtt.password", "jarvis-mqtt-password"),
        ("backend.token", "jarvis-backend-token"),
    ],
)
def test_the_other_secrets_come_as_the_password_does(key, credential, secret, tmp_path):
    def loaded(*argv: str, **environ: str):
        found = load(argv, environ, default_file=tmp_path / "gone.toml")
        return found, value_of(found.config, key).get_secret_value()

    assert loaded()[1] == ""
    secret.write_text("from-the-secret-file\n")
    named, value = loaded(f"--{key}-file", str(secret))
    assert value == "from-the-secret-file"
    assert named.config.backend.password != SecretStr("from-the-secret-file")
    (tmp_path / credential).write_text("the-credential-itself")
    given, value = loaded(CREDENTIALS_DIRECTORY=str(tmp_path))
    assert value == "the-credential-itself"
    assert given.origins[key] == f"credential: {credential}"
    with pytest.raises(ConfigError, match=f"--{key}: a secret is never an argument"):
        loaded(f"--{key}", "shown in ps")


@pytest.mark.parametrize("unfit", ["two words", "line\nbreak", "fünf", "x" * 8193])
def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_shown(unfit, tmp_path):
    with pytest.raises(ConfigError, match=r"without spaces") as refused:
        load([], {"JARVIS_EAR_BACKEND__TOKEN": unfit}, default_file=tmp_path / "gone.toml")
    assert unfit not in str(refused.value)
