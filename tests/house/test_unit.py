"""The unit file agrees with the program that it starts."""

import shutil
import subprocess
from pathlib import Path

import pytest

from jarvis_ear import companion, ear_thread
from jarvis_ear.__main__ import LOOK_S
from jarvis_ear.cli import VERBS
from jarvis_ear.devices import capture, speaker
from jarvis_ear.errors import ConfigError
from jarvis_ear.options.environment import CREDENTIAL
from jarvis_ear.system import control
from jarvis_ear.transports.timing import Timing

UNIT = Path(__file__).parents[2] / "systemd" / "jarvis-ear.service"
MOST_EXPOSURE = 1.2


def settings(name: str) -> list[str]:
    lines = UNIT.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def test_it_starts_a_verb_that_exists():
    [command] = settings("ExecStart")
    program, verb = command.split()
    assert Path(program).name == "jarvis-ear"
    assert verb in VERBS


def test_a_wrong_configuration_is_not_started_again():
    assert settings("RestartPreventExitStatus") == [str(ConfigError.exit_status)]


def test_the_password_has_the_name_that_the_program_looks_for():
    assert settings("LoadCredential") == [CREDENTIAL]


def test_the_service_manager_is_told_when_it_is_ready():
    assert settings("Type") == ["notify"]
    assert settings("NotifyAccess") == ["main"]


def test_a_reload_is_a_hangup():
    assert settings("ExecReload") == ["kill -HUP $MAINPID"]


def test_the_watchdog_outlasts_every_rest_of_the_main_thread():
    [seconds] = settings("WatchdogSec")
    assert float(seconds) / 2 > 10 * LOOK_S


def test_all_deadlines_of_a_stop_fit_into_the_time_that_a_stop_may_take():
    deadlines = (
        control.LOOK_S + 2 * control.CLIENT_S,
        capture.STOP_S,
        ear_thread.STOP_S,
        Timing().stop_s,
        speaker.CLOSE_S,
        2 * companion.STOP_S,
    )
    [seconds] = settings("TimeoutStopSec")
    assert sum(deadlines) < float(seconds)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_its_exposure_is_small():
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    _, _, exposure = said.partition("Overall exposure level for jarvis-ear.service: ")
    assert float(exposure.split()[0]) <= MOST_EXPOSURE
