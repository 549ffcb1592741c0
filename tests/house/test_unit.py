"""The unit files agree with the programs that they start, and confine them."""

import re
import shutil
from pathlib import Path

import pytest

from fakes.program import run
from jarvis_backend.config import SCHEMA as BACKEND_SCHEMA
from jarvis_backend.config import Limits
from jarvis_backend.connections import files_needed
from jarvis_ear import companion
from jarvis_ear.__main__ import LOOK_S
from jarvis_ear.cli import VERBS
from jarvis_ear.control import server
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.devices import capture, speaker
from jarvis_ear.errors import ConfigError
from jarvis_ear.hearing import ear_thread
from jarvis_ear.hooks import hooks
from jarvis_ear.metrics import server as metrics
from jarvis_ear.schema import SCHEMA as EAR_SCHEMA
from jarvis_ear.service import probe
from jarvis_ear.service.probe import HOME, JWT_SECRET, PASSWORD, USER
from jarvis_ear.service.release import PROGRAMS

SYSTEMD = Path(__file__).parents[2] / "systemd"
EAR, BACKEND = "jarvis-ear.service", "jarvis-backend.service"
OF_USERS = {EAR: "jarvis-ear-user.service", BACKEND: "jarvis-backend-user.service"}
BOTH = pytest.mark.parametrize("unit", [EAR, BACKEND])
MOST_EXPOSURE = 1.2

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def settings(name: str, unit: str = EAR) -> list[str]:
    lines = (SYSTEMD / unit).read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


@BOTH
def test_a_unit_starts_an_installed_program(unit):
    program = Path(settings("ExecStart", unit)[0].split()[0])
    assert program.parent == Path(HOME, "current", "bin")
    assert program.name in PROGRAMS
    assert HOME in settings("ExecPaths", unit)[0].split()
    assert settings("RestartPreventExitStatus", unit) == [str(ConfigError.exit_status)]
    assert settings("CPUAccounting", unit) == ["yes"]


def test_the_unit_of_the_ear_starts_a_verb_notifies_and_reloads_by_a_hangup():
    [command] = settings("ExecStart")
    program, verb = command.split()
    assert Path(program).name == "jarvis-ear"
    assert verb in VERBS
    assert settings("Type") == ["notify"]
    assert settings("NotifyAccess") == ["main"]
    assert settings("ExecReload") == ["kill -HUP $MAINPID"]


def test_programs_installer_and_package_know_the_credentials_of_the_units():
    assert settings("LoadCredential") == list(EAR_SCHEMA.credentials)
    assert set(settings("LoadCredential", BACKEND)) == set(BACKEND_SCHEMA.credentials)
    assert {PASSWORD, JWT_SECRET} <= set(BACKEND_SCHEMA.credentials)
    for service, names in probe.CREDENTIALS.items():
        assert set(names) == set(settings("LoadCredential", f"{service}.service"))
    script = (SYSTEMD.parent / "debian" / "jarvis-ear.postrm").read_text()
    [names] = re.findall(r"^    for name in (.*?); do$", script.replace("\\\n", ""), re.MULTILINE)
    assert set(names.split()) == set(probe.ALL_CREDENTIALS)


def test_the_user_is_the_one_that_is_made():
    made = (SYSTEMD / "jarvis-ear.sysusers").read_text().splitlines()
    assert settings("User") == settings("Group") == [USER]
    assert f"m {USER} {settings('SupplementaryGroups')[0]}" in made


def test_the_watchdog_and_a_stop_allow_for_every_deadline_of_the_ear():
    [seconds] = settings("WatchdogSec")
    assert float(seconds) / 2 > 3 * LOOK_S
    parts_of_a_turn = (capture.STOP_S, ear_thread.STOP_S, Timing().stop_s, speaker.CLOSE_S)
    beside = (server.STOP_S, Timing().stop_s, hooks.STOP_S, metrics.STOP_S)
    together = (sum(parts_of_a_turn), *beside)
    [seconds] = settings("TimeoutStopSec")
    assert max(together) + 2 * companion.STOP_S < float(seconds)


def test_the_backend_may_open_as_many_files_as_its_connections_need():
    [most] = (one.le for one in Limits.model_fields["connections"].metadata if hasattr(one, "le"))
    [limit] = settings("LimitNOFILE", BACKEND)
    soft, hard = map(int, limit.split(":"))
    assert soft >= files_needed(Limits())
    assert hard >= files_needed(Limits(connections=most))


@BOTH
@needs_systemd
def test_its_exposure_is_small(unit):
    said = run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", SYSTEMD / unit]
    ).stdout
    _, _, exposure = said.partition(f"Overall exposure level for {unit}: ")
    assert float(exposure.split()[0]) <= MOST_EXPOSURE


@BOTH
@needs_systemd
def test_systemd_finds_nothing_to_complain_of(unit, tmp_path):
    """Given a program, because this machine may have none installed."""
    (tmp_path / "bin").mkdir()
    for program in PROGRAMS:
        shutil.copy("/bin/true", tmp_path / "bin" / program)
    copy = tmp_path / unit
    copy.write_text((SYSTEMD / unit).read_text().replace(f"{HOME}/current", str(tmp_path)))
    verified = run(["systemd-analyze", "verify", "--man=no", copy], check=False)
    complaints = [line for line in verified.stderr.splitlines() if unit in line]
    assert (verified.returncode, complaints) == (0, [])


@BOTH
@needs_systemd
def test_the_unit_of_a_user_does_the_same_with_what_a_user_may(unit, tmp_path):
    own = OF_USERS[unit]
    same = ("Type", "ExecStart", "ExecReload", "WatchdogSec", "RestartPreventExitStatus")
    same += ("TimeoutStopSec", "NoNewPrivileges", "RestrictAddressFamilies", "MemoryMax", "UMask")
    for name in same:
        assert settings(name, own) == settings(name, unit), name
    for name in ("User", "DynamicUser", "ProtectSystem", "PrivateTmp", "IPAddressDeny"):
        assert settings(name, own) == []  # needs rights that not every user has
    program = tmp_path / settings("ExecStart", own)[0].split()[0].removeprefix(f"{HOME}/current/")
    program.parent.mkdir()
    shutil.copy("/bin/true", program)
    copy = tmp_path / unit
    copy.write_text((SYSTEMD / own).read_text().replace(f"{HOME}/current", str(tmp_path)))
    verified = run(["systemd-analyze", "--user", "verify", "--man=no", copy], check=False)
    complaints = [line for line in verified.stderr.splitlines() if unit in line]
    assert (verified.returncode, complaints) == (0, [])


@needs_systemd
@pytest.mark.parametrize("options", ["jarvis-ear.sysusers", "jarvis-ear.tmpfiles"])
def test_users_and_folders_are_understood(options, tmp_path):
    tool = f"systemd-{Path(options).suffix[1:]}"
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    (tmp_path / "etc").mkdir()
    words = ["--create"] if tool.endswith("tmpfiles") else []
    done = run([tool, *words, f"--root={tmp_path}", SYSTEMD / options], check=False)
    assert (done.returncode, "line" in done.stderr) == (0, False), done.stderr
