"""Steps are executed, described, rolled back if the service does not start, and idempotent."""

import stat
import subprocess

import pytest

from jarvis_ear.errors import ServiceError
from jarvis_ear.service import steps as kinds
from jarvis_ear.service.executor import Executor, write
from jarvis_ear.service.steps import Build, Enable, File, Folder, Remove, Run, StartUnit


class Commands:
    """Fake machine: records the commands, and fails at the given ones."""

    def __init__(self, *failing: str) -> None:
        self.failing = list(failing)
        self.run = []

    def __call__(self, argv):
        line = " ".join(argv)
        self.run.append(line)
        status = 1 if line in self.failing else 0
        if status:
            self.failing.remove(line)
        return subprocess.CompletedProcess(argv, status, "", "it broke\n")


ENABLE, RESTART = "systemctl --quiet enable ear", "systemctl restart ear"
NEW = StartUnit("ear", is_active=False, can_roll_back=False)
STOPPED = StartUnit("ear", is_active=False, can_roll_back=True)
RUNNING = StartUnit("ear", is_active=True, can_roll_back=True)


@pytest.fixture
def commands():
    return Commands()


@pytest.fixture
def executor(commands):
    return Executor(lambda _line: None, commands)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_every_kind_of_step_has_its_result(tmp_path, executor):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    (tmp_path / "empty").mkdir()
    executor.do(
        [
            Folder(tmp_path / "a" / "b", mode=0o700),
            File(tmp_path / "c" / "secret", b"s", mode=0o600),
            kinds.SymbolicLink(tmp_path / "link", tmp_path / "c"),
            Remove(tmp_path / "old"),
            Remove(tmp_path / "empty", only_empty=True),
            Remove(tmp_path / "c", only_empty=True),
        ]
    )
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o755, 0o700)
    assert (tmp_path / "link" / "secret").read_bytes() == b"s"
    assert mode(tmp_path / "c" / "secret") == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c", "link"]
    assert executor.changes == 5


def test_steps_are_idempotent(tmp_path, commands):
    said = []
    steps = [
        Folder(tmp_path / "a"),
        File(tmp_path / "a" / "f", b"1"),
        kinds.SymbolicLink(tmp_path / "l", tmp_path / "a"),
        Build(tmp_path / "built", (Folder(tmp_path / "built"),)),
        Run(("reload",)),
        StartUnit("ear", is_active=True, can_roll_back=False),
    ]
    Executor(said.append, commands).do(steps)
    assert commands.run == ["reload", "systemctl restart ear"]
    said.clear()
    again = Executor(said.append, commands)
    again.do(steps)
    assert (said, again.changes, len(commands.run)) == ([], 0, 2)


@pytest.mark.parametrize(
    ("steps", "ran", "changes", "shown"),
    [
        ([Run(("maybe",)), Run(("surely",), always=True)], ["surely"], 0, ["run surely"]),
        ([NEW], [RESTART], 1, ["start ear"]),
        ([Enable(("ear",)), RUNNING], [ENABLE], 1, ["enable ear"]),
    ],
    ids=["only after a change", "a service that does not run", "a service that runs"],
)
def test_a_command_runs_if_it_is_needed(steps, ran, changes, shown):
    commands, said = Commands(), []
    for executor in (Executor(said.append, commands), Executor(said.append, dry_run=True)):
        said.clear()
        executor.do(steps)
        assert executor.changes == changes
    assert (commands.run, said) == (ran, shown)


def test_a_file_of_the_owner_is_never_overwritten_and_a_mode_is_a_difference(tmp_path, executor):
    file, secret = tmp_path / "config.toml", tmp_path / "secret"
    file.write_text("mine")
    executor.do([File(file, b"ours", is_owners=True)])
    assert (file.read_text(), executor.changes) == ("mine", 0)
    write(secret, b"s", 0o644)
    executor.do([File(secret, b"s", mode=0o600)])
    assert mode(secret) == 0o600


def test_a_link_is_replaced_and_its_old_target_stays(tmp_path, executor):
    (tmp_path / "1").mkdir()
    executor.do([kinds.SymbolicLink(tmp_path / "current", tmp_path / "1")])
    executor.do([kinds.SymbolicLink(tmp_path / "current", tmp_path / "2")])
    assert (tmp_path / "current").readlink() == tmp_path / "2"
    executor.do([Remove(tmp_path / "current")])
    assert (tmp_path / "1").is_dir()


def test_a_failed_step_is_reported(tmp_path, executor, commands):
    commands.failing = ["pip install", "reload"]
    with pytest.raises(ServiceError, match=r"^pip install ended with status 1\nit broke$"):
        executor.do([Run(("pip", "install"), always=True)])
    executor.do([Run(("reload",), always=True, may_fail=True)])
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"^cannot write .*/file/f \(0644\): File exists$"):
        executor.do([File(tmp_path / "file" / "f", b"")])
    with pytest.raises(ServiceError, match="no-such-command is not installed"):
        Executor(lambda _line: None).do([Run(("no-such-command",), always=True)])


def test_a_failed_build_is_removed(tmp_path, executor, commands):
    folder = tmp_path / "built"
    commands.failing = ["pip"]
    steps = [Build(folder, (File(folder / "f", b""), Run(("pip",), always=True)))]
    with pytest.raises(ServiceError, match="pip ended"):
        executor.do(steps)
    assert not folder.exists()
    executor.do(steps)
    assert (folder / "f").exists()


def test_an_incomplete_build_is_built_again(tmp_path, executor):
    folder = tmp_path / "built"
    write(folder / "half", b"", 0o644)
    executor.do([Build(folder, (Folder(folder),))])
    assert not (folder / "half").exists()


def test_if_the_new_service_does_not_start_the_old_one_is_restored(tmp_path, executor, commands):
    unit, fresh, current = (tmp_path / name for name in ("unit", "fresh", "current"))
    write(unit, b"old", 0o640)
    current.symlink_to("1")
    commands.failing = [RESTART]
    words = "everything is back as it was; backend runs again; newcomer does not run"
    steps = [
        Build(tmp_path / "2", (File(tmp_path / "2" / "f", b""),)),
        File(unit, b"new"),
        File(fresh, b"new"),
        kinds.SymbolicLink(current, tmp_path / "2"),
        StartUnit("backend", is_active=True, can_roll_back=True),
        StartUnit("newcomer", is_active=False, can_roll_back=True),
        RUNNING,
        Remove(tmp_path / "1"),
    ]
    with pytest.raises(ServiceError, match=words):
        executor.do(steps)
    assert (unit.read_bytes(), mode(unit)) == (b"old", 0o640)
    assert str(current.readlink()) == "1"
    assert not fresh.exists()
    assert not (tmp_path / "2").exists()
    assert [line.removeprefix("systemctl ") for line in commands.run[-5:]] == [
        *("stop newcomer", "--quiet reset-failed newcomer", "daemon-reload"),
        *("restart backend", "restart ear"),
    ]


BACK = "everything is back as it was"
TRIED = {"is_active": False, "is_starting": True}


@pytest.mark.parametrize(
    ("was", "failures", "words"),
    [
        ({"is_active": False}, 1, f"{BACK}; ear does not run, as before"),
        (TRIED, 2, f"{BACK}; ear did not run before, and does not start now"),
        (TRIED, 1, f"{BACK}; ear runs again"),
        ({"is_active": True}, 2, f"not {BACK}; the old ear does not start either"),
    ],
)
def test_a_rollback_restores_enabled_and_active_and_reports_the_result(
    tmp_path, commands, was, failures, words
):
    commands.failing = [RESTART] * failures
    unit = tmp_path / "unit"
    write(unit, b"old", 0o644)
    steps = [File(unit, b"new"), Enable(("ear",)), StartUnit("ear", can_roll_back=True, **was)]
    with pytest.raises(ServiceError) as error:
        Executor(lambda _line: None, commands).do(steps)
    assert str(error.value).splitlines() == ["the new ear does not start: journalctl -u ear", words]
    assert unit.read_bytes() == b"old"
    assert commands.run.count("systemctl --quiet disable ear") == 1
    assert ("systemctl stop ear" in commands.run) is not (commands.run[-1] == RESTART)


def test_a_service_that_was_enabled_before_is_not_disabled(tmp_path, executor, commands):
    commands.failing = [RESTART]
    with pytest.raises(ServiceError, match="everything is back"):
        executor.do([File(tmp_path / "f", b""), STOPPED])
    assert not any("disable" in line for line in commands.run)


def test_a_failed_command_of_an_upgrade_causes_a_rollback_too(tmp_path, executor, commands):
    unit, old = tmp_path / "unit", tmp_path / "old"
    write(unit, b"old", 0o644)
    write(old, b"secret", 0o600)
    commands.failing = ["make-users"]
    with pytest.raises(ServiceError, match=rf"make-users ended(.|\n)*{BACK}$"):
        executor.do([File(unit, b"new"), Remove(old), Run(("make-users",)), RUNNING])
    assert (unit.read_bytes(), old.read_bytes(), mode(old)) == (b"old", b"secret", 0o600)
    assert RESTART not in commands.run


@pytest.mark.parametrize(
    ("failing", "start", "words"),
    [
        (RESTART, NEW, "does not start: journalctl -u ear"),
        ("clean", RUNNING, r"^clean ended with status 1\nit broke$"),
    ],
    ids=["first installation", "after the start"],
)
def test_some_failures_cause_no_rollback(tmp_path, failing, start, words):
    executor = Executor(lambda _line: None, Commands(failing))
    with pytest.raises(ServiceError, match=words):
        executor.do([File(tmp_path / "f", b""), start, Run(("clean",))])
    assert (tmp_path / "f").exists()


def test_a_file_that_cannot_be_restored_is_reported(tmp_path, commands):
    unit = tmp_path / "folder" / "unit"
    write(unit, b"old", 0o644)

    def run(argv):
        done = commands(argv)
        if done.returncode:
            unit.unlink()
            unit.parent.rmdir()
            unit.parent.touch()
        return done

    commands.failing = [RESTART]
    with pytest.raises(ServiceError, match=r"not everything is back.*could not be restored"):
        Executor(lambda _line: None, run).do([File(unit, b"new"), RUNNING])


def test_scripts_of_a_staged_environment_are_relocated(tmp_path, executor):
    write(tmp_path / "bin" / "ear", b"#!/stage/opt/bin/python\n", 0o755)
    (tmp_path / "bin" / "python").symlink_to("/usr/bin/python3")
    write(tmp_path / "pyvenv.cfg", b"home = /usr/bin\n", 0o644)
    executor.do([kinds.Relocate(tmp_path, "/stage/opt", "/opt")])
    assert (tmp_path / "bin" / "ear").read_text() == "#!/opt/bin/python\n"
    assert mode(tmp_path / "bin" / "ear") == 0o755


def test_a_dry_run_describes_everything_and_does_nothing(tmp_path):
    (tmp_path / "there").mkdir()
    said = []
    steps = [
        Folder(tmp_path / "there"),
        Run(("not", "yet")),
        Build(tmp_path / "b", (Run(("make", "it"), always=True),)),
        Run(("reload",)),
        Enable(("ear",)),
        StartUnit("ear", is_active=True, can_roll_back=False),
        File(tmp_path / "password", b"hunter2"),
    ]
    Executor(said.append, dry_run=True).do(steps)
    build = [f"build {tmp_path}/b", "  run make it"]
    assert said[:-1] == [*build, "run reload", "enable ear", "start ear"]
    assert "hunter2" not in f"{said} {steps}"  # no secret is shown
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
