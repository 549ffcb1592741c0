"""The unit file agrees with the program that it starts."""

import shutil
import subprocess
from pathlib import Path

import pytest

from jarvis_ear.cli import VERBS
from jarvis_ear.errors import ConfigError
from jarvis_ear.options.environment import CREDENTIAL

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
