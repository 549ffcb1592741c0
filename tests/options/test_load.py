"""The options of all sources together: which source wins, and every mistake at once."""

import pytest

from jarvis_ear.config import Config
from jarvis_ear.errors import ConfigError
from jarvis_ear.schema import SCHEMA, load


@pytest.fixture
def start(tmp_path):
    """Load a command line, variables and the text of a file, as a start does."""

    def start(argv="", toml=None, **environ):
        file = tmp_path / "c.toml"
        if toml is not None:
            file.write_text(toml)
        return load(argv.split(), environ, default_file=file)

    return start


def test_without_anything_there_are_the_defaults(start):
    loaded = start()
    assert loaded.config == Config()
    assert loaded.origins == {option.key: "default" for option in SCHEMA.options}


EXPECTED = "expected at least 1 s more than hearing.endpointing.hangover_ms (5 s)"
OWNER = {"JARVIS_EAR_HEARING__WAKE__THRESHOLD": "0.2", "BACKEND_URL": "http://owner"}
EAR = {**OWNER, "JARVIS_EAR_BACKEND__URL": "http://ear"}


@pytest.mark.parametrize(
    ("argv", "environ", "threshold", "url"),
    [
        ("", {}, 0.1, "http://file"),
        ("", OWNER, 0.2, "http://owner"),
        ("", EAR, 0.2, "http://ear"),
        ("--threshold 0.3", OWNER, 0.3, "http://owner"),
        ("--backend-url http://cli", EAR, 0.2, "http://cli"),
    ],
)
def test_the_stronger_source_wins(start, argv, environ, threshold, url):
    toml = "[hearing.wake]\nthreshold=0.1\npatience=2\n[backend]\nurl='http://file'\n"
    config = start(argv, toml, **environ).config
    assert (config.hearing.wake.threshold, config.backend.url) == (threshold, url)
    assert config.hearing.wake.patience == 2


def test_origins_name_the_source(start, tmp_path):
    loaded = start("--log-format=json", "[log]\nlevel='debug'\nformat='text'", AGENT_ID="a")
    assert loaded.origins["log.format"] == "command line: --log-format"
    assert loaded.origins["log.level"] == f"{tmp_path / 'c.toml'}: log.level"
    assert loaded.origins["backend.agent_id"] == "environment: AGENT_ID"
    assert loaded.origins["log.transcripts"] == "default"


def test_a_named_file_replaces_the_usual_one_and_must_exist(start, tmp_path):
    named = tmp_path / "named.toml"
    with pytest.raises(ConfigError, match=r"named\.toml: there is no such file"):
        start(f"--config {named}")
    named.write_text("[log]\nformat='json'")
    log = start(f"--config {named}", "[log]\nlevel='debug'").config.log
    assert (log.level, log.format) == ("info", "json")


def test_all_mistakes_of_all_sources_are_listed(start, tmp_path):
    environ = {"JARVIS_EAR_NOPE": "1", "BACKEND_URL": "nonsense"}
    toml = "x=1\n[hearing.wake]\nthreshold=2\npatience=0\n"
    with pytest.raises(ConfigError) as caught:
        start("--threshold 0.4 --treshold 1", toml, **environ)
    lines = str(caught.value).splitlines()
    places = [line.removeprefix(f"{tmp_path / 'c.toml'}").split(": ")[0:2] for line in lines]
    assert places == [
        ["command line", "--treshold"],
        ["environment", "JARVIS_EAR_NOPE"],
        ["environment", "BACKEND_URL"],
        ["", "x"],
        ["", "hearing.wake.threshold"],  # though the command line would have hidden it
        ["", "hearing.wake.patience"],
    ]
    assert caught.value.exit_status == 78


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (
            "--hearing.endpointing.max-ms 2000 --hearing.endpointing.pre-roll-ms 2000",
            "hearing.endpointing: max_ms must be more than pre_roll_ms and onset_ms together",
        ),
        (
            "--hearing.endpointing.hangover-ms 5000 --backend.fresh-s 5",
            f"backend.fresh_s counts from the last word: {EXPECTED}",
        ),
        ("--rooms.group home", "rooms.group: expected rooms.key (rooms.key_file), or bus.url"),
    ],
)
def test_values_that_contradict_each_other_are_one_line(start, options, mistake):
    with pytest.raises(ConfigError) as refused:
        start(options)
    assert str(refused.value) == mistake


def test_the_events_for_the_bus_are_a_list_in_the_file(start):
    assert start("", '[bus]\npublish = ["wake", "turn"]').config.bus.news == {"wake", "turn"}
    assert start("--bus.publish transcript").config.bus.news == {"transcript"}
    with pytest.raises(ConfigError, match="expected some of wake, transcript, turn"):
        start("--bus.publish sound")


def test_the_program_of_a_hook_is_a_list_in_every_source(start):
    expected = ("led", "on", "a b")
    assert start("", '[hooks]\nidle = ["led", "on", "a b"]').config.hooks.idle == expected
    for given in ("led,on,a b", '["led", "on", "a b"]'):
        assert start("", "", JARVIS_EAR_HOOKS__IDLE=given).config.hooks.idle == expected
    assert start("--hooks.idle led,on").config.hooks.idle == ("led", "on")
    with pytest.raises(ConfigError, match=r'hooks.idle.*expected a program .*as \["a", "b"\]'):
        start("--hooks.idle ./led,on")
    with pytest.raises(ConfigError, match="expected a list"):
        start("", "[hooks]\nidle = [1]")
