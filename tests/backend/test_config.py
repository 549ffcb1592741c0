"""The options: where they come from, and what is wrong with them."""

from operator import attrgetter

import pytest

from jarvis_backend.auth import hash_of
from jarvis_backend.config import CREDENTIALS, LISTS, BackendConfig, load, secrets
from jarvis_backend.errors import BackendConfigError


def set_all(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_by_default_the_backend_listens_on_loopback_only(monkeypatch):
    monkeypatch.setattr("sys.argv", ["pytest", "--port", "1"])
    for config in (load([]), load()):
        assert (config.host, config.port) == ("127.0.0.1", 4000)
        assert config.password.get_secret_value() == "jarvis"
        assert config.jwt_secret is None
        assert config.limits.message_bytes == 5_242_880
        assert config.log.transcripts is False
    with pytest.raises(ValueError, match="frozen"):
        BackendConfig().port = 1


def test_arguments_win_over_the_environment(monkeypatch):
    set_all(monkeypatch, JARVIS_BACKEND_PORT="4001", JARVIS_BACKEND_STT__ENGINE="none")
    assert (load([]).port, load([]).stt.engine) == (4001, "none")
    assert load(["--port", "4002", "--stt.engine=pocketsphinx"]).port == 4002
    assert load(["--stt.engine=pocketsphinx"]).stt.engine == "pocketsphinx"


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        ("--port 1 --port 2", "--port"),
        ("--stt.engine=none --stt.engine none", "--stt.engine"),
        ("--console --no-console", "--console"),
        ("--hash_password --hash-password", "--hash-password"),
    ],
)
def test_an_option_that_is_given_twice_is_a_mistake(arguments, flag):
    with pytest.raises(BackendConfigError) as error:
        load(arguments.split())
    assert f"{flag}: given twice, expected once" in str(error.value)


def test_a_list_may_be_given_several_times():
    config = load(["--allow-origins", "https://a", "--allow-origins", "https://b"])
    assert config.allow_origins == ("https://a", "https://b")
    lists = [name for name, field in BackendConfig.model_fields.items() if field.default == ()]
    assert tuple(lists) == LISTS


def test_a_tilde_is_the_home_of_a_user(monkeypatch):
    monkeypatch.setenv("HOME", "/houses/me")
    config = load(["--tts.model", "~/voice.onnx", "--stt.model=~/model"])
    assert (config.tts.model, config.stt.model) == ("/houses/me/voice.onnx", "/houses/me/model")
    with pytest.raises(BackendConfigError, match=r"tts\.model: .*nobody knows the home"):
        load(["--tts.model", "~no-such-user-at-all/x"])


# Secrets


@pytest.fixture
def credential(tmp_path, monkeypatch):
    """Write a credential of the service."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return lambda name, content: (tmp_path / name).write_bytes(content)


def test_secrets_may_be_credentials_of_the_service(credential):
    credential("jarvis-password", b"\xef\xbb\xbfgeheim\r\n")  # with a byte order mark
    credential("jarvis-jwt-secret", b"s" * 48)
    credential("somebody-elses", b"x")
    config = load([])
    assert config.password.get_secret_value() == "geheim"
    assert config.jwt_secret.get_secret_value() == "s" * 48
    assert config.bus_key is None


@pytest.mark.parametrize("name", ["JARVIS_PASSWORD", "JARVIS_BACKEND_PASSWORD"])
def test_the_environment_wins_over_a_credential(credential, monkeypatch, name):
    monkeypatch.setenv(name, "stronger")
    assert load([]).password.get_secret_value() == "stronger"
    credential("jarvis-password", b"weaker")
    assert load([]).password.get_secret_value() == "stronger"


def test_the_environment_wins_in_a_section_too(credential, monkeypatch):
    credential("jarvis-stt-api-key", b"weaker")
    credential("jarvis-tts-api-key", b"kept")
    monkeypatch.setenv("JARVIS_BACKEND_STT__API_KEY", "stronger")
    config = load([])
    assert config.stt.api_key.get_secret_value() == "stronger"
    assert config.tts.api_key.get_secret_value() == "kept"


def test_every_secret_may_be_a_credential_and_no_other_option_is_one(credential):
    assert {"password", "jwt_secret", "queue_password", "stt.api_key"} <= set(secrets())
    assert sorted(CREDENTIALS.values()) == sorted(secrets())
    hashed = hash_of("geheim").encode()
    given = {name: name.encode() * 4 for name in CREDENTIALS} | {"jarvis-password-hash": hashed}
    for name, content in given.items():
        credential(name, content + b"\n")
    config = load(["--stt.language=de"])
    assert config.stt.language == "de"
    for name, option in CREDENTIALS.items():
        secret = attrgetter(option)(config)
        assert secret.get_secret_value().encode() == given[name], option


def test_an_undecodable_credential_is_named(credential):
    credential("jarvis-password", b"\xff")
    with pytest.raises(BackendConfigError, match=r"^credential jarvis-password: cannot be read"):
        load([])


@pytest.mark.parametrize(
    "argument",
    [
        *(f"--{option.replace('_', '-')}=x" for option in secrets()),
        *("--passw=x", "--jwt-secret", "--jwt_secret=x", "--tts.api_key=x"),
        '--brain={"api_key":"x"}',
    ],
)
def test_secrets_are_never_arguments(argument):
    with pytest.raises(BackendConfigError, match="secrets are never arguments") as refused:
        load([argument, "x"])
    assert "=x" not in str(refused.value)


@pytest.mark.parametrize("key", ["geh\neim", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_named_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("JARVIS_BACKEND_STT__API_KEY", key)
    expected = r"^stt.api_key: expected printable ASCII on one line$"
    with pytest.raises(BackendConfigError, match=expected):
        load([])


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--port x", "^port: "),
        ("--port 70000", "^port: "),
        ("--nope", "unrecognized arguments: --nope"),
        ("stray", "unrecognized arguments: stray"),
        ("--stt.engine magic", "^stt.engine: "),
        ("--stt.engine openai", "^stt.url: '', expected http:// or https://"),
        ("--tts.engine openai --tts.url ftp://x", "^tts.url: 'ftp://x'"),
        ("--limits.turns 0", "^limits.turns: "),
        ("--workers 2", "^workers: 2, expected 1 without a message_queue"),
        ("--message-queue redis://h", "^jwt_secret: is empty"),
        ("--message-queue http://h", "^message_queue: expected redis://"),
        ("--message-queue redis://:geheim@h", "^message_queue: holds a password, expected"),
    ],
)
def test_a_bad_argument_is_named(arguments, complaint):
    with pytest.raises(BackendConfigError, match=complaint):
        load(arguments.split())


def test_all_problems_are_reported_at_once_and_no_secret_is_shown(monkeypatch):
    set_all(
        monkeypatch,
        JARVIS_BACKEND_PROT="4001",
        JARVIS_BACKEND_JWT_SECRET="short-secret",
        JARVIS_PASSWORD="",
    )
    with pytest.raises(BackendConfigError) as refused:
        load([])
    assert str(refused.value).splitlines() == [
        "JARVIS_BACKEND_PROT: there is no such option; see jarvis-backend --help",
        "jwt_secret: expected at least 32 letters",
        "password: is empty, expected at least one letter",
    ]


def test_a_wrong_value_in_the_environment_is_named(monkeypatch):
    set_all(monkeypatch, JARVIS_BACKEND_LIMITS__TURNS="many", JARVIS_BACKEND_LOG__NOPE="1")
    expected = r"limits\.turns: .*\n.*log\.nope: |log\.nope: .*\n.*"
    with pytest.raises(BackendConfigError, match=expected):
        load([])


def test_the_help_names_every_option_but_the_secrets(capsys):
    with pytest.raises(SystemExit) as ended:
        load(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(option in text for option in ("--host", "--tts.voice"))
    assert not any(option in text for option in ("--password", "--jwt", "api-key"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "jarvis.local"])  # noqa: S104 - configured, never bound here
@pytest.mark.parametrize(
    ("words", "is_refused"),
    [
        ({}, True),
        ({"JARVIS_PASSWORD": "jarvis"}, True),
        ({"JARVIS_PASSWORD": "1234567"}, True),
        ({"JARVIS_PASSWORD": "12345678"}, False),
        ({"JARVIS_BACKEND_PASSWORD_HASH": hash_of("jarvis")}, True),
        ({"JARVIS_BACKEND_PASSWORD_HASH": hash_of("")}, True),
        ({"JARVIS_BACKEND_PASSWORD_HASH": hash_of("geheimnis")}, False),
        ({"JARVIS_BACKEND_INSECURE_PASSWORD": "true"}, False),
    ],
)
def test_beyond_loopback_the_password_has_eight_characters(monkeypatch, host, words, is_refused):
    set_all(monkeypatch, **words)
    if not is_refused:
        assert load(["--host", host]).host == host
        return
    with pytest.raises(BackendConfigError, match=r"^password: .* expected at least 8 characters"):
        load(["--host", host])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_any_password_will_do(monkeypatch, host):
    monkeypatch.setenv("JARVIS_PASSWORD", "x")
    assert load(["--host", host]).host == host
