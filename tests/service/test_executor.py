"""Steps are done once, said, taken back when the service does not start, and harmless twice."""

import stat
import subprocess

import pytest

from jarvis_ear.errors import ServiceError
from jarvis_ear.service.executor import Executor, write
from jarvis_ear.service.rehearsal import rehearse
from jarvis_ear.service.steps import (
    Build,
    File,
    Folder,
    Gone,
    GoneIfEmpty,
    Link,
    Moved,
    Run,
    Start,
)


class Commands:
    """Stands for the machine: remembers what was run, and fails at what it is told to."""

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


@pytest.fixture
def commands():
    return Commands()


@pytest.fixture
def executor(commands):
    return Executor(lambda _line: None, commands)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_every_kind_of_step_makes_what_it_wants(tmp_path, executor):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    (tmp_path / "empty").mkdir()
    executor.do(
        [
            Folder(tmp_path / "a" / "b", mode=0o700),
            File(tmp_path / "c" / "secret", b"s", mode=0o600),
            Link(tmp_path / "link", tmp_path / "c"),
            Gone(tmp_path / "old"),
            GoneIfEmpty(tmp_path / "empty"),
            GoneIfEmpty(tmp_path / "c"),
        ]
    )
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o755, 0o700)
    assert (tmp_path / "link" / "secret").read_bytes() == b"s"
    assert mode(tmp_path / "c" / "secret") == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c", "link"]
    assert executor.changes == 5


def test_done_twice_is_done_once(tmp_path, commands):
    said = []
    steps = [
        Folder(tmp_path / "a"),
        File(tmp_path / "a" / "f", b"1"),
        Link(tmp_path / "l", tmp_path / "a"),
        Build(tmp_path / "built", (Folder(tmp_path / "built"),)),
        Run(("reload",)),
        Start("ear", is_active=True, can_return=False),
    ]
    Executor(said.append, commands).do(steps)
    assert commands.run == ["reload", "systemctl restart ear"]
    said.clear()
    again = Executor(said.append, commands)
    again.do(steps)
    assert (said, again.changes, len(commands.run)) == ([], 0, 2)


def test_what_runs_only_after_a_change_and_what_runs_always(executor, commands):
    executor.do([Run(("maybe",)), Run(("surely",), always=True)])
    assert commands.run == ["surely"]


def test_a_service_that_does_not_run_is_started_though_nothing_changed(executor, commands):
    executor.do([Start("ear", is_active=False, can_return=False)])
    assert commands.run == ["systemctl restart ear"]
    assert executor.changes == 1


def test_what_the_owner_has_changed_stays(tmp_path, executor):
    file = tmp_path / "config.toml"
    file.write_text("mine")
    executor.do([File(file, b"ours", is_owners=True)])
    assert file.read_text() == "mine"
    assert executor.changes == 0


def test_a_changed_mode_is_a_difference(tmp_path, executor):
    file = tmp_path / "secret"
    write(file, b"s", 0o644)
    executor.do([File(file, b"s", mode=0o600)])
    assert mode(file) == 0o600


def test_a_link_is_turned_and_what_it_led_to_stays(tmp_path, executor):
    (tmp_path / "1").mkdir()
    executor.do([Link(tmp_path / "current", tmp_path / "1")])
    executor.do([Link(tmp_path / "current", tmp_path / "2")])
    assert (tmp_path / "current").readlink() == tmp_path / "2"
    executor.do([Gone(tmp_path / "current")])
    assert (tmp_path / "1").is_dir()


def test_a_failed_command_says_what_it_said(executor, commands):
    commands.failing = ["pip install"]
    with pytest.raises(ServiceError, match=r"^pip install ended with status 1\nit broke$"):
        executor.do([Run(("pip", "install"), always=True)])


def test_a_command_that_may_fail_does_no_harm(executor, commands):
    commands.failing = ["reload"]
    executor.do([Run(("reload",), always=True, may_fail=True)])


def test_half_a_build_is_no_build(tmp_path, executor, commands):
    folder = tmp_path / "built"
    commands.failing = ["pip"]
    steps = [Build(folder, (File(folder / "f", b""), Run(("pip",), always=True)))]
    with pytest.raises(ServiceError, match="pip ended"):
        executor.do(steps)
    assert not folder.exists()
    executor.do(steps)
    assert (folder / "f").exists()


def test_what_a_killed_build_left_is_made_again(tmp_path, executor):
    folder = tmp_path / "built"
    write(folder / "half", b"", 0o644)
    executor.do([Build(folder, (Folder(folder),))])
    assert not (folder / "half").exists()


def test_a_service_that_does_not_start_gives_way_to_the_old_one(tmp_path, executor, commands):
    unit, fresh, current = (tmp_path / name for name in ("unit", "fresh", "current"))
    write(unit, b"old", 0o640)
    current.symlink_to("1")
    commands.failing = ["systemctl restart ear"]
    with pytest.raises(ServiceError, match="back as it was, and the old one runs again"):
        executor.do(
            [
                Build(tmp_path / "2", (File(tmp_path / "2" / "f", b""),)),
                File(unit, b"new"),
                File(fresh, b"new"),
                Link(current, tmp_path / "2"),
                Start("backend", is_active=True, can_return=True),
                Start("newcomer", is_active=False, can_return=True),
                Start("ear", is_active=True, can_return=True),
                Gone(tmp_path / "1"),
            ]
        )
    assert (unit.read_bytes(), mode(unit)) == (b"old", 0o640)
    assert str(current.readlink()) == "1"
    assert not fresh.exists()
    assert not (tmp_path / "2").exists()
    assert commands.run[-3:] == [
        "systemctl --quiet disable --now newcomer",
        "systemctl daemon-reload",
        "systemctl restart backend ear",
    ]


def test_a_first_installation_that_does_not_start_stays_to_be_looked_at(
    tmp_path, executor, commands
):
    commands.failing = ["systemctl restart ear"]
    with pytest.raises(ServiceError, match="does not start: journalctl -u ear"):
        executor.do([File(tmp_path / "f", b""), Start("ear", is_active=False, can_return=False)])
    assert (tmp_path / "f").exists()


def test_scripts_are_told_where_they_will_stand(tmp_path, executor):
    write(tmp_path / "bin" / "ear", b"#!/stage/opt/bin/python\n", 0o755)
    (tmp_path / "bin" / "python").symlink_to("/usr/bin/python3")
    write(tmp_path / "pyvenv.cfg", b"home = /usr/bin\n", 0o644)
    executor.do([Moved(tmp_path, "/stage/opt", "/opt")])
    assert (tmp_path / "bin" / "ear").read_text() == "#!/opt/bin/python\n"
    assert mode(tmp_path / "bin" / "ear") == 0o755


def test_what_cannot_be_written_is_said(tmp_path, executor):
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"^cannot write .*/file/f \(0644\): File exists$"):
        executor.do([File(tmp_path / "file" / "f", b"")])


def test_a_command_that_is_not_there_is_said():
    with pytest.raises(ServiceError, match="no-such-command is not installed"):
        Executor(lambda _line: None).do([Run(("no-such-command",), always=True)])


def test_a_rehearsal_says_everything_and_does_nothing(tmp_path):
    (tmp_path / "there").mkdir()
    said = []
    steps = [
        Folder(tmp_path / "there"),
        Run(("not", "yet")),
        Build(tmp_path / "b", (Run(("make", "it"), always=True),)),
        Run(("reload",)),
        Start("ear", is_active=True, can_return=False),
    ]
    assert rehearse(steps, said.append) == 3
    assert said == [f"build {tmp_path}/b", "  run make it", "run reload", "start ear"]
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_no_secret_is_shown(tmp_path):
    step = File(tmp_path / "password", b"hunter2")
    assert "hunter2" not in f"{step} {step!r}"
