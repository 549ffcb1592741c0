import pytest
from pydantic import SecretStr

from jarvis_ear.config import Config
from jarvis_ear.errors import ConfigError
from jarvis_ear.options.option import value_of
from jarvis_ear.schema import SCHEMA, Loaded, load

OPTIONS = SCHEMA.options


@pytest.fixture
def nowhere(tmp_path):
    return tmp_path / "gone.toml"


@pytest.fixture
def private(tmp_path):
    path = tmp_path / "password"
    path.write_text("from the file\n")
    path.chmod(0o600)
    return path


def test_without_anything_there_are_the_defaults(nowhere):
    loaded = load([], {}, default_file=nowhere)
    assert loaded.config == Config()
    assert loaded.origins == {option.key: "default" for option in OPTIONS}


def test_the_stronger_source_wins(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[hearing.wake]\nthreshold=0.1\npatience=2\n[backend]\nurl='http://file'\n")
    environ = {"JARVIS_EAR_HEARING__WAKE__THRESHOLD": "0.2", "BACKEND_URL": "http://owner"}

    def threshold(*argv: str, **more: str) -> tuple[float, str]:
        loaded = load(argv, environ | more, default_file=file)
        assert loaded.config.hearing.wake.patience == 2
        return loaded.config.hearing.wake.threshold, loaded.config.backend.url

    assert threshold() == (0.2, "http://owner")
    assert threshold("--threshold", "0.3") == (0.3, "http://owner")
    assert threshold(JARVIS_EAR_BACKEND__URL="http://ear") == (0.2, "http://ear")
    assert threshold("--backend-url", "http://cli", JARVIS_EAR_BACKEND__URL="http://ear")[1] == (
        "http://cli"
    )
    environ.clear()
    assert threshold() == (0.1, "http://file")


def test_origins_say_where_to_look(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[log]\nlevel='debug'\nformat='text'")
    loaded = load(["--log-format=json"], {"AGENT_ID": "a"}, default_file=file)
    assert loaded.origins["log.format"] == "command line: --log-format"
    assert loaded.origins["log.level"] == f"{file}: log.level"
    assert loaded.origins["backend.agent_id"] == "environment: AGENT_ID"
    assert loaded.origins["log.transcripts"] == "default"


def test_a_named_file_replaces_the_usual_one(tmp_path):
    usual, named = tmp_path / "usual.toml", tmp_path / "named.toml"
    usual.write_text("[log]\nlevel='debug'")
    named.write_text("[log]\nformat='json'")
    log = load(["--config", str(named)], {}, default_file=usual).config.log
    assert (log.level, log.format) == ("info", "json")


def test_a_named_file_must_exist(nowhere):
    with pytest.raises(ConfigError, match=r"gone\.toml: there is no such file"):
        load(["--config", str(nowhere)], {})


def test_all_mistakes_of_all_sources_are_listed(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("x=1\n[hearing.wake]\nthreshold=2\npatience=0\n")
    environ = {"JARVIS_EAR_NOPE": "1", "BACKEND_URL": "nonsense"}
    with pytest.raises(ConfigError) as caught:
        load(["--threshold", "0.4", "--treshold", "1"], environ, default_file=file)
    lines = str(caught.value).splitlines()
    places = [line.removeprefix(f"{file}").split(": ")[0:2] for line in lines]
    assert places == [
        ["command line", "--treshold"],
        ["environment", "JARVIS_EAR_NOPE"],
        ["environment", "BACKEND_URL"],
        ["", "x"],
        ["", "hearing.wake.threshold"],  # though the command line would have hidden it
        ["", "hearing.wake.patience"],
    ]
    assert caught.value.exit_status == 78


def password(loaded: Loaded) -> str:
    return loaded.config.backend.password.get_secret_value()


def test_a_password_file(private, nowhere):
    loaded = load(["--backend.password-file", str(private)], {}, default_file=nowhere)
    assert password(loaded) == "from the file"
    assert loaded.config.backend.password_file == private
    assert loaded.origins["backend.password"] == (
        f"file {private}, named by command line: --backend.password-file"
    )


def test_a_password_file_is_as_strong_as_who_names_it(private, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text(f"[backend]\npassword_file = '{private}'")
    owner = {"JARVIS_PASSWORD": "owner"}
    ear = {"JARVIS_EAR_BACKEND__PASSWORD": "ear"}
    named = {"JARVIS_EAR_BACKEND__PASSWORD_FILE": str(private)}
    assert password(load([], {}, default_file=file)) == "from the file"
    assert password(load([], owner, default_file=file)) == "owner"
    assert password(load([], owner | ear, default_file=file)) == "ear"
    assert password(load([], owner | named, default_file=file)) == "from the file"
    cli = ["--backend.password-file", str(private)]
    assert password(load(cli, owner | ear, default_file=file)) == "from the file"


def test_a_credential_is_stronger_than_the_file_and_weaker_than_the_environment(tmp_path, private):
    file = tmp_path / "c.toml"
    file.write_text(f"[backend]\npassword_file = '{private}'")
    (tmp_path / "jarvis-password").write_text("credential")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert password(load([], environ, default_file=file)) == "credential"
    assert password(load([], environ | {"JARVIS_PASSWORD": "x"}, default_file=file)) == "x"


def mistake(argv: list[str], environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(argv, environ or {})
    return str(caught.value)


def test_an_open_password_file_is_refused(private):
    private.chmod(0o644)
    said = mistake(["--backend.password-file", str(private)])
    assert said == (
        f"command line: backend.password_file: {private} is refused: "
        "others may read it (mode 0644), expected 0600: use chmod 600"
    )


def test_a_missing_password_file_is_refused(nowhere):
    said = mistake(["--backend.password-file", str(nowhere)])
    assert said.endswith(f"{nowhere} cannot be read: No such file or directory")


def test_a_password_twice_in_one_place_is_a_riddle(private):
    environ = {
        "JARVIS_EAR_BACKEND__PASSWORD": "hunter2",
        "JARVIS_EAR_BACKEND__PASSWORD_FILE": str(private),
    }
    said = mistake([], environ)
    assert said.endswith("given together with backend.password, expected one of the two")
    assert "hunter2" not in said


def test_no_way_of_showing_what_was_loaded_shows_the_password(nowhere):
    loaded = load([], {"JARVIS_PASSWORD": "hunter2"}, default_file=nowhere)
    assert loaded.config.backend.password == SecretStr("hunter2")
    assert "hunter2" not in f"{loaded} {loaded!r} {loaded.config.model_dump_json()}"


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (
            "--hearing.endpointing.max-ms 2000 --hearing.endpointing.pre-roll-ms 2000",
            "hearing.endpointing: max_ms must be more than pre_roll_ms and onset_ms together",
        ),
        (
            "--hearing.endpointing.hangover-ms 5000 --backend.fresh-s 5",
            (
                "backend.fresh_s counts from the last word: expected at least 1 s more than "
                "hearing.endpointing.hangover_ms (5 s)"
            ),
        ),
    ],
)
def test_values_that_contradict_each_other_are_one_clear_line(options, mistake, nowhere):
    with pytest.raises(ConfigError) as refused:
        load(options.split(), {}, default_file=nowhere)
    assert str(refused.value) == mistake


@pytest.mark.parametrize(
    ("key", "credential"),
    [("bus.key", "jarvis-bus-key"), ("backend.token", "jarvis-backend-token")],
)
def test_the_other_secrets_come_as_the_password_does(key, credential, private, nowhere, tmp_path):
    def secret(loaded: Loaded) -> str:
        return value_of(loaded.config, key).get_secret_value()

    assert secret(load([], {}, default_file=nowhere)) == ""
    private.write_text("from-the-file\n")
    flag = f"--{key}"
    named = load([f"{flag}-file", str(private)], {}, default_file=nowhere)
    assert secret(named) == "from-the-file"
    assert password(named) != "from-the-file"
    (tmp_path / credential).write_text("credential")
    loaded = load([], {"CREDENTIALS_DIRECTORY": str(tmp_path)}, default_file=nowhere)
    assert secret(loaded) == "credential"
    assert loaded.origins[key] == f"credential: {credential}"
    with pytest.raises(ConfigError, match=f"{flag}: a secret is never an argument"):
        load([flag, "shown in ps"], {}, default_file=nowhere)


@pytest.mark.parametrize("unfit", ["two words", "line\nbreak", "fünf", "x" * 8193])
def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_shown(unfit, nowhere):
    with pytest.raises(ConfigError, match=r"without spaces") as refused:
        load([], {"JARVIS_EAR_BACKEND__TOKEN": unfit}, default_file=nowhere)
    assert unfit not in str(refused.value)


def test_what_the_bus_may_be_told_is_a_list_in_the_file(tmp_path, nowhere):
    file = tmp_path / "c.toml"
    file.write_text('[bus]\npublish = ["wake", "turn"]')
    assert load([], {}, default_file=file).config.bus.news == {"wake", "turn"}
    argv = ["--bus.publish", "transcript"]
    assert load(argv, {}, default_file=file).config.bus.news == {"transcript"}
    with pytest.raises(ConfigError, match="expected some of wake, transcript, turn"):
        load(["--bus.publish", "sound"], {}, default_file=nowhere)
