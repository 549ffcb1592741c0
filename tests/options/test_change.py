import pytest
from pydantic import SecretStr

from jarvis_ear.config import BackendOptions, Config, LogOptions, MicrophoneOptions
from jarvis_ear.options.option import (
    BY_KEY,
    OPTIONS,
    TABLES,
    TAKERS,
    Change,
    Taker,
    changes,
    names,
    taker_of,
)


def test_the_same_configuration_has_no_changes():
    assert changes(Config(), Config()) == ()


def test_each_change_is_named_with_whoever_takes_it():
    old = Config()
    new = Config(
        backend=BackendOptions(password=SecretStr("other")),
        microphone=MicrophoneOptions(device="USB", input="x.wav"),
        log=LogOptions(level="debug"),
        with_backend=True,
    )
    found = changes(old, new)
    assert found == (
        Change("microphone.device", Taker.MICROPHONE),
        Change("microphone.input", Taker.NOBODY),
        Change("backend.password", Taker.BACKEND),
        Change("log.level", Taker.LOG),
        Change("with_backend", Taker.NOBODY),
    )
    assert "other" not in repr(found)
    assert names(found[:2]) == "microphone.device, microphone.input"


@pytest.mark.parametrize(
    ("key", "taker"),
    [
        ("hearing.endpointing.hangover_ms", Taker.EAR),
        ("microphone.mute_between", Taker.MUTE),
        ("microphone.fast", Taker.NOBODY),
        ("spool.dir", Taker.NOBODY),
        ("log.format", Taker.NOBODY),
        ("bus.key", Taker.BUS),
        ("console.transcripts", Taker.CONSOLE),
        ("console.port", Taker.NOBODY),
        ("speaker.device", Taker.SPEAKER),
    ],
)
def test_who_takes_it(key, taker):
    assert taker_of(key) is taker


def test_every_name_in_the_table_is_an_option_or_a_table():
    assert [name for name in TAKERS if name not in BY_KEY and name not in TABLES] == []


def test_every_part_takes_something():
    assert {taker_of(option.key) for option in OPTIONS} == set(Taker)
