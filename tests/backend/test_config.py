"""The options: where they come from, and what is wrong with them."""

import re

import pytest

from jarvis_backend.auth import hash_of
from jarvis_backend.config import SCHEMA, BackendConfig, load
from jarvis_backend.errors import BackendConfigError

NOT_SHOWN = "a value that is not shown"
SECRETS = [option.key for option in SCHEMA.secrets]


def test_by_default_it_listens_on_loopback_only():
    config = load([])
    assert (config.host, config.port) == ("127.0.0.1", 4000)
    assert config.password.get_secret_value() == "jarvis"
    assert config.jwt_secret is None
    assert config.limits.message_bytes == 5_242_880
    assert config.log.transcripts is False


def test_arguments_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("JARVIS_BACKEND_PORT", "4001")
    monkeypatch.setenv("JARVIS_BACKEND_STT__ENGINE", "none")
    assert (load([]).port, load([]).stt.engine) == (4001, "none")
    assert load(["--port", "4002", "--stt.engine=pocketsphinx"]).port == 4002
    assert load(["--stt.engine=pocketsphinx"]).stt.engine == "pocketsphinx"


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["--port", "1", "--port", "2"], "--port"),
        (["--stt.engine=none", "--stt.engine", "none"], "--stt.engine"),
        (["--console", "--no-console"], "--no-console"),
        (["--hash_password", "--hash-password"], "--hash-password"),
        (["--console", "--console=false"], "--console"),
    ],
)
def test_an_option_that_is_given_twice_is_a_mistake(arguments, flag):
    with pytest.raises(BackendConfigError) as error:
        load(arguments)
    assert f"{flag}: given twice, expected once" in str(error.value)


def test_a_list_may_be_given_several_times(monkeypatch):
    config = load(["--allow-origins", "https://a", "--allow-origins", "https://b"])
    assert config.allow_origins == ("https://a", "https://b")
    assert load(["--allow-origins", "https://a,https://b"]) == config
    assert load(['--allow-origins=["https://a", "https://b"]']) == config
    monkeypatch.setenv("JARVIS_BACKEND_ALLOW_ORIGINS", '["https://a", "https://b"]')
    assert load() == config
    with pytest.raises(BackendConfigError, match="expected a list"):
        load(["--allow-hosts", "[1"])


def test_a_tilde_is_the_home_of_a_user(monkeypatch):
    monkeypatch.setenv("HOME", "/houses/me")
    config = load(["--tts.model", "~/voice.onnx", "--stt.model=~/model"])
    assert (config.tts.model, config.stt.model) == ("/houses/me/voice.onnx", "/houses/me/model")
    with pytest.raises(BackendConfigError, match=r"tts\.model: .*the home of a known user"):
        load(["--tts.model", "~no-such-user-at-all/x"])


def test_without_arguments_only_the_environment_counts(monkeypatch):
    monkeypatch.setattr("sys.argv", ["pytest", "--port", "1"])
    assert load().port == 4000


@pytest.mark.parametrize("name", ["JARVIS_PASSWORD", "JARVIS_BACKEND_PASSWORD"])
def test_the_password_comes_from_the_environment(monkeypatch, name):
    monkeypatch.setenv(name, "geheim")
    assert load([]).password.get_secret_value() == "geheim"


@pytest.fixture
def credential(tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return lambda name, content: (tmp_path / name).write_bytes(content)


def test_secrets_may_be_credentials_of_the_service(credential):
    credential("jarvis-password", b"geheim\n")
    credential("jarvis-jwt-secret", b"s" * 48)
    credential("somebody-elses", b"x")
    config = load([])
    assert config.password.get_secret_value() == "geheim"
    assert config.jwt_secret.get_secret_value() == "s" * 48
    assert config.bus_key is None


def test_a_byte_order_mark_is_no_part_of_a_credential(credential):
    credential("jarvis-password", b"\xef\xbb\xbfgeheim\r\n")
    assert load([]).password.get_secret_value() == "geheim"


@pytest.mark.parametrize("name", ["JARVIS_PASSWORD", "JARVIS_BACKEND_PASSWORD"])
def test_the_environment_is_stronger_than_a_credential(credential, monkeypatch, name):
    credential("jarvis-password", b"weaker")
    monkeypatch.setenv(name, "stronger")
    assert load([]).password.get_secret_value() == "stronger"


def value_of(config, option):
    for name in option.split("."):
        config = getattr(config, name)
    return config


def test_every_secret_may_be_a_credential_and_nothing_else_is_one(credential):
    assert sorted(SCHEMA.credentials.values()) == sorted(SECRETS)
    hashed = hash_of("geheim").encode()
    given = {name: name.encode() * 4 for name in SCHEMA.credentials} | {
        "jarvis-password-hash": hashed
    }
    for name, content in given.items():
        credential(name, content + b"\n")
    config = load(["--stt.language=de"])
    assert config.stt.language == "de"
    for name, option in SCHEMA.credentials.items():
        assert value_of(config, option).get_secret_value().encode() == given[name], option


def test_the_options_that_are_secret_are_found_by_their_type():
    assert {"password", "jwt_secret", "queue_password", "stt.api_key"} <= set(SECRETS)


@pytest.mark.parametrize("option", SECRETS)
def test_no_secret_is_an_argument(option):
    flag = "--" + option.replace("_", "-")
    with pytest.raises(BackendConfigError, match="a secret is never an argument"):
        load([f"{flag}=x"])


def test_the_environment_is_stronger_in_a_section_too(credential, monkeypatch):
    credential("jarvis-stt-api-key", b"weaker")
    credential("jarvis-tts-api-key", b"kept")
    monkeypatch.setenv("JARVIS_BACKEND_STT__API_KEY", "stronger")
    config = load([])
    assert config.stt.api_key.get_secret_value() == "stronger"
    assert config.tts.api_key.get_secret_value() == "kept"


def test_a_credential_that_is_no_text_is_named(credential):
    credential("jarvis-password", b"\xff")
    with pytest.raises(BackendConfigError, match=r"^credential: jarvis-password: cannot be used"):
        load([])


@pytest.mark.parametrize(
    "argument",
    [
        "--password=hunter2",
        "--passw=hunter2",
        "--passwrod",
        "--jwt-secret",
        "--queue-password=hunter2",
        "--jwt_secret=hunter2",
        "--stt.api-key=hunter2",
        "--tts.api_key=hunter2",
        '--brain={"api_key":"hunter2"}',
    ],
)
def test_secrets_are_never_arguments(argument):
    with pytest.raises(BackendConfigError) as refused:
        load([argument] if "=" in argument else [argument, "hunter2"])
    assert re.match("command line: --[a-z.-]+: (a secret is never|there is no)", str(refused.value))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "x"], '^command line: --port: given "x", expected a whole number from 0 to'),
        (["--port", "70000"], '^command line: --port: given "70000", expected a whole number'),
        (["--nope"], "^command line: --nope: there is no such option"),
        (["--prot=1"], "^command line: --prot: there is no such option; did you mean --port"),
        (["stray"], '^command line: "stray": expected an option'),
        (["--stt.engine", "magic"], '^command line: --stt.engine: given "magic", expected one of'),
        (["--stt.engine", "openai"], '^stt.url: given "", expected http:// or https://'),
        (["--tts.engine", "openai", "--tts.url", "ftp://x"], '^tts.url: given "ftp://x"'),
        (["--limits.turns", "0"], '^command line: --limits.turns: given "0", expected a whole'),
        (["--workers", "2"], "^workers: given 2, expected 1 without a message_queue"),
        (["--message-queue", "redis://h"], "^jwt_secret: not given"),
        (["--message-queue", "http://h"], "message-queue: given .* expected redis://"),
        (["--message-queue", "redis://:geheim@h"], "message-queue: .*without the password"),
        (["--message-queue", "redis://me:geheim@[::1"], "message-queue: .*without the password"),
        (["--realtime-path", "/wss"], "realtime-path: given .* begins with /ws/"),
    ],
)
def test_a_bad_argument_is_named(arguments, complaint):
    with pytest.raises(BackendConfigError, match=complaint) as refused:
        load(arguments)
    assert "geheim" not in str(refused.value)


def test_all_problems_are_told_at_once_and_no_secret_is_shown(monkeypatch):
    monkeypatch.setenv("JARVIS_BACKEND_PROT", "4001")
    monkeypatch.setenv("JARVIS_BACKEND_JWT_SECRET", "short-secret")
    monkeypatch.setenv("JARVIS_PASSWORD", "")
    with pytest.raises(BackendConfigError) as refused:
        load([])
    assert str(refused.value).splitlines() == [
        f"environment: {mistake}"
        for mistake in (
            "JARVIS_BACKEND_PROT: there is no such option; did you mean JARVIS_BACKEND_PORT?",
            f"JARVIS_BACKEND_JWT_SECRET: given {NOT_SHOWN}, expected at least 32 characters",
            f"JARVIS_PASSWORD: given {NOT_SHOWN}, expected at least one character",
        )
    ]


def test_a_wrong_value_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("JARVIS_BACKEND_LIMITS__TURNS", "many")
    monkeypatch.setenv("JARVIS_BACKEND_LOG__NOPE", "1")
    with pytest.raises(
        BackendConfigError,
        match=r"LIMITS__TURNS: given \"many\", .*\n.*LOG__NOPE: there is no such",
    ):
        load([])


def test_it_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        BackendConfig().port = 1


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
def test_beyond_loopback_the_password_has_to_be_one(monkeypatch, host, words, is_refused):
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    if not is_refused:
        assert load(["--host", host]).host == host
        return
    with pytest.raises(BackendConfigError, match=r"^password: .* expected at least 8 characters"):
        load(["--host", host])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_any_password_will_do(monkeypatch, host):
    monkeypatch.setenv("JARVIS_PASSWORD", "x")
    assert load(["--host", host]).host == host


@pytest.mark.parametrize("key", ["geh\neim", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_named_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("JARVIS_BACKEND_STT__API_KEY", key)
    with pytest.raises(
        BackendConfigError,
        match=r"^environment: .*STT__API_KEY: .* not shown, expected printable ASCII on one line$",
    ):
        load([])
