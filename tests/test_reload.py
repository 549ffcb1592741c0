"""What a changed configuration changes: all of it or nothing, and never within a turn."""

import logging
from datetime import datetime

import pytest
from pydantic import SecretStr

from jarvis_ear.config import (
    BackendOptions,
    Config,
    HearingOptions,
    LogOptions,
    MicrophoneOptions,
    SpoolOptions,
    WakeOptions,
)
from jarvis_ear.errors import ConfigError
from jarvis_ear.reload import Reload
from jarvis_ear.schema import (
    RELOAD_TARGETS,
    SCHEMA,
    Change,
    ReloadTarget,
    changes,
    joined,
    reload_target,
)

OTHER = Config(
    hearing=HearingOptions(wake=WakeOptions(threshold=0.7)),
    backend=BackendOptions(password=SecretStr("a secret")),
    log=LogOptions(level="debug"),
)
ALL_TARGETS = [ReloadTarget.EAR, ReloadTarget.BACKEND, ReloadTarget.LOG]


class House:
    """Parts that take every configuration, and record it."""

    def __init__(self):
        self.file: Config | ConfigError = Config()
        self.calm = True
        self.unfit: ReloadTarget | None = None
        self.ready: list[ReloadTarget] = []
        self.in_force: list[ReloadTarget] = []
        self.done: list[Config] = []
        self.reload = Reload(
            Config(),
            read=self.read,
            prepare=self.prepare,
            is_calm=lambda: self.calm,
            on_done=self.done.append,
            wall=lambda: datetime(2026, 5, 1, 12, 3),  # noqa: DTZ001 - the clock on the wall
        )

    def read(self):
        if isinstance(self.file, ConfigError):
            raise self.file
        return self.file

    def prepare(self, target, _config):
        if target is self.unfit:
            raise ConfigError(f"{target}: cannot be used")
        self.ready.append(target)
        return lambda: self.in_force.append(target)

    def asked(self, config):
        self.file = config
        self.reload.ask()
        self.reload.look()


@pytest.fixture
def house(caplog):
    caplog.set_level(logging.INFO)
    return House()


def test_what_has_changed_is_put_in_force_once_and_named_without_values(house, caplog):
    house.asked(Config())
    assert house.in_force == []
    assert "nothing changes" in caplog.text
    assert caplog.records[0].CHANGED == "nothing"
    caplog.clear()
    house.asked(OTHER)
    house.reload.look()
    assert house.in_force == ALL_TARGETS
    assert house.done[-1] == OTHER
    [record] = caplog.records
    assert (record.levelname, record.EVENT) == ("INFO", "Reloaded")
    assert "changed: hearing.wake.threshold, backend.password, log.level" in record.message
    assert "a secret" not in record.message
    assert record.CHANGED == "hearing.wake.threshold, backend.password, log.level"
    assert house.reload.note == ""
    house.asked(OTHER)
    house.asked(OTHER.model_copy(update={"log": LogOptions()}))
    assert house.in_force == [*ALL_TARGETS, ReloadTarget.LOG]


def test_a_configuration_with_mistakes_changes_nothing(house, caplog):
    house.asked(ConfigError("a.toml: x: wrong\nenvironment: Y: wrong too"))
    assert (house.ready, house.in_force, house.reload.waits) == ([], [], False)
    [record] = caplog.records
    assert (record.levelname, record.EVENT) == ("ERROR", "ReloadRefused")
    assert "a.toml: x: wrong; environment: Y: wrong too" in record.message
    assert record.REASON == "a.toml: x: wrong; environment: Y: wrong too"
    assert house.reload.note == "the configuration of 12:03 has 2 mistakes, see the log"
    house.asked(OTHER)
    assert house.reload.note == ""


def test_if_one_part_cannot_use_it_no_part_does(house):
    house.unfit = ReloadTarget.BACKEND
    house.asked(OTHER)
    assert house.ready == [ReloadTarget.EAR]
    assert house.in_force == []
    assert "1 mistake," in house.reload.note


def test_it_waits_for_the_end_of_the_turn(house, caplog):
    house.calm = False
    house.asked(OTHER)
    house.reload.look()
    assert (house.in_force, house.reload.waits, caplog.text) == ([], True, "")
    assert house.reload.note == "a new configuration waits for the end of the turn"
    house.calm = True
    house.reload.look()
    assert house.in_force == ALL_TARGETS
    assert not house.reload.waits
    house.calm = False
    house.asked(Config())
    house.asked(OTHER.model_copy(update={"log": LogOptions()}))  # takes the place of that one
    house.calm = True
    house.reload.look()
    assert house.in_force == [*ALL_TARGETS, ReloadTarget.LOG]


def test_a_change_that_needs_a_restart_is_named_until_it_is_undone(house, caplog):
    for _ in range(2):
        caplog.clear()
        house.asked(Config(spool=SpoolOptions(enabled=False), with_backend=True))
        warning = caplog.records[-1]
        assert warning.levelname == "WARNING"
        assert warning.message.endswith("only after a restart: spool.enabled, with_backend")
        assert (warning.EVENT, warning.CHANGED) == ("RestartNeeded", "spool.enabled, with_backend")
        assert house.reload.note == "a restart is needed for spool.enabled, with_backend"
    house.asked(Config())
    assert house.reload.note == ""
    assert house.in_force == []


def test_each_change_is_named_with_its_target():
    new = Config(
        backend=BackendOptions(password=SecretStr("other")),
        microphone=MicrophoneOptions(device="USB", input="x.wav"),
        log=LogOptions(level="debug"),
        with_backend=True,
    )
    found = changes(Config(), new)
    assert found == (
        Change("microphone.device", ReloadTarget.MICROPHONE),
        Change("microphone.input", None),
        Change("backend.password", ReloadTarget.BACKEND),
        Change("log.level", ReloadTarget.LOG),
        Change("with_backend", None),
    )
    assert "other" not in repr(found)
    assert changes(new, new) == ()
    assert joined(found[:2]) == "microphone.device, microphone.input"


def test_every_option_has_its_target_or_needs_a_restart():
    targets = {
        "hearing.endpointing.hangover_ms": ReloadTarget.EAR,
        "microphone.mute_between": ReloadTarget.MUTE,
        "bus.key": ReloadTarget.BUS,
        "console.transcripts": ReloadTarget.CONSOLE,
        "speaker.device": ReloadTarget.SPEAKER,
        "hooks.idle": ReloadTarget.HOOKS,
        **dict.fromkeys(("microphone.fast", "spool.dir", "log.format", "console.port")),
    }
    assert {key: reload_target(key) for key in targets} == targets
    assert set(RELOAD_TARGETS) <= {*SCHEMA.by_key, *SCHEMA.tables}
    assert {reload_target(option.key) for option in SCHEMA.options} == {*ReloadTarget, None}
