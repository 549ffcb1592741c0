import pytest
from pydantic import SecretStr

from jarvis_ear.config import BackendOptions, Config, LogOptions, MicrophoneOptions
from jarvis_ear.schema import (
    RELOAD_TARGETS,
    SCHEMA,
    Change,
    ReloadTarget,
    changes,
    joined,
    reload_target,
)


def test_the_same_configuration_has_no_changes():
    assert changes(Config(), Config()) == ()


def test_each_change_is_named_with_its_target():
    old = Config()
    new = Config(
        backend=BackendOptions(password=SecretStr("other")),
        microphone=MicrophoneOptions(device="USB", input="x.wav"),
        log=LogOptions(level="debug"),
        with_backend=True,
    )
    found = changes(old, new)
    assert found == (
        Change("microphone.device", ReloadTarget.MICROPHONE),
        Change("microphone.input", None),
        Change("backend.password", ReloadTarget.BACKEND),
        Change("log.level", ReloadTarget.LOG),
        Change("with_backend", None),
    )
    assert "other" not in repr(found)
    assert joined(found[:2]) == "microphone.device, microphone.input"


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("hearing.endpointing.hangover_ms", ReloadTarget.EAR),
        ("microphone.mute_between", ReloadTarget.MUTE),
        ("microphone.fast", None),
        ("spool.dir", None),
        ("log.format", None),
        ("bus.key", ReloadTarget.BUS),
        ("console.transcripts", ReloadTarget.CONSOLE),
        ("console.port", None),
        ("speaker.device", ReloadTarget.SPEAKER),
    ],
)
def test_the_target_of_a_new_value(key, target):
    assert reload_target(key) is target


def test_every_name_in_the_table_is_an_option_or_a_table():
    known = {*SCHEMA.by_key, *SCHEMA.tables}
    assert [name for name in RELOAD_TARGETS if name not in known] == []


def test_every_target_has_options():
    assert {reload_target(option.key) for option in SCHEMA.options} == {*ReloadTarget, None}
