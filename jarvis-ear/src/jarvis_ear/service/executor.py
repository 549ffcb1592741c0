"""Executor: carries out the steps of an installation, or prints them."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from jarvis_ear.errors import ServiceError
from jarvis_ear.service.steps import (
    Build,
    Enable,
    File,
    Folder,
    Gone,
    GoneIfEmpty,
    Moved,
    Run,
    StartUnit,
    Step,
    SymbolicLink,
)

Undo: TypeAlias = Callable[[], object]

COMPLETE: Final = ".complete"
"""Name of the file that marks a completely built folder."""

RUN_S: Final = 900.0
"""Time-out of a command in seconds; the longest is pip on a slow line."""

TOLD_LINES: Final = 5
"""Number of a failed command's last lines that are shown."""


class Executor:
    """Executes steps in order. Used by one thread, as root unless everything is staged.

    ``say`` receives a line for each step that changes something. ``run`` runs a command.
    """

    def __init__(
        self,
        say: Callable[[str], object],
        run: Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"] | None = None,
    ) -> None:
        self._say = say
        self._run = run or _run
        self._undo: list[Undo] = []
        self._started: list[StartUnit] = []
        self._news = 0
        self.changes = 0
        """Steps that changed something."""

    def do(self, steps: Iterable[Step]) -> None:
        """Execute all steps. Raises ``ServiceError`` at the first that fails.

        A failure before the last service runs rolls back all steps, if there was an installation
        before.
        """
        left = tuple(steps)
        while left:
            try:
                self._do_told(left[0])
            except ServiceError as error:
                if any(isinstance(step, StartUnit) and step.can_return for step in left):
                    raise self._gone_back(error) from error
                raise
            left = left[1:]

    def _do_told(self, step: Step) -> None:
        try:
            self._do(step)
        except OSError as error:
            raise ServiceError(f"cannot {step}: {error.strerror}") from error

    def _do(self, step: Step) -> None:
        match step:
            case Run():
                self._command(step)
            case StartUnit():
                self._start(step)
            case Enable():
                self._enable(step)
            case _ if is_done(step):
                return
            case _:
                self._say(str(step))
                self._change(step)
                self._count()

    def _change(
        self, step: Folder | File | SymbolicLink | Gone | GoneIfEmpty | Moved | Build
    ) -> None:
        match step:
            case Folder(path, mode):
                _make_folder(path, mode)
            case File(path, content, mode):
                self._undo.append(_way_back(path))
                write(path, content, mode)
            case SymbolicLink(path, target):
                self._undo.append(_way_back(path))
                link(path, target)
            case Gone(path):
                if path.is_symlink() or path.is_file():
                    self._undo.append(_way_back(path))
                remove(path)
            case GoneIfEmpty(path):
                path.rmdir()
            case Moved(folder, was, will_be):
                _reword(folder, was.encode(), will_be.encode())
            case Build(folder, steps):
                self._build(folder, steps)
            case _:
                assert_never(step)

    def _build(self, folder: Path, steps: Iterable[Step]) -> None:
        remove(folder)
        self._undo.append(lambda: remove(folder))
        try:
            self.do(steps)
        except ServiceError:
            remove(folder)
            raise
        write(folder / COMPLETE, b"", 0o644)

    def _command(self, step: Run) -> None:
        if not step.always and not self._news:
            return
        self._say(str(step))
        done = self._run(step.argv)
        if done.returncode and not step.may_fail:
            raise ServiceError(_failed(step.argv, done))

    def _count(self) -> None:
        self._news += 1
        self.changes += 1

    def _enable(self, step: Enable) -> None:
        """Enable services; unlike other changes, this does not restart running services."""
        self._say(str(step))
        self.changes += 1
        disable = ("systemctl", "--quiet", "disable", *step.services)
        self._undo.append(lambda: self._run(disable))
        self._command(Run(("systemctl", "--quiet", "enable", *step.services), always=True))

    def _start(self, step: StartUnit) -> None:
        if step.is_active and not self._news:
            return
        self._say(str(step))
        self._count()
        self._started.append(step)
        done = self._run(("systemctl", "restart", step.service))
        if not done.returncode:
            return
        new = "the new " if step.can_return else ""
        installed = "" if step.can_return else "is installed and "
        raise ServiceError(
            f"{new}{step.service} {installed}does not start: journalctl -u {step.service}"
        )

    def _gone_back(self, why: ServiceError) -> ServiceError:
        """Roll back all steps, restart what ran before, and return an error with the result."""
        if new := [step.service for step in self._started if not step.was_wanted]:
            self._run(("systemctl", "stop", *new))
            self._run(("systemctl", "--quiet", "reset-failed", *new))
        lost = [problem for undo in reversed(self._undo) if (problem := _tried(undo))]
        self._run(("systemctl", "daemon-reload"))
        fates = [self._returned(step) for step in self._started]
        is_back = not lost and all(is_as_before for is_as_before, _ in fates)
        headline = "everything is back as it was" if is_back else "not everything is back as it was"
        return ServiceError(
            "\n".join([str(why), "; ".join([headline, *lost, *(words for _, words in fates)])])
        )

    def _returned(self, step: StartUnit) -> tuple[bool, str]:
        """Restart the old service; return whether it is as before, and a description."""
        if not step.was_wanted:
            return True, f"{step.service} does not run, as before"
        if not self._run(("systemctl", "restart", step.service)).returncode:
            return True, f"{step.service} runs again"
        if not step.is_active:
            return True, f"{step.service} did not run before, and does not start now"
        return False, f"the old {step.service} does not start either"


def _tried(undo: Undo) -> str:
    """Undo a change, and return why that failed, or nothing."""
    try:
        undo()
    except OSError as error:
        return f"{error.filename or 'a file'} could not be put back ({error.strerror})"
    return ""


def is_done(step: Step) -> bool:
    """Whether the result of a step exists already; always False for a command."""
    match step:
        case Folder(path):
            done = path.is_dir()
        case File(path, content, mode, is_owners):
            done = path.exists() if is_owners else _holds(path, content, mode)
        case SymbolicLink(path, target):
            done = path.is_symlink() and path.readlink() == target
        case Gone(path):
            done = not path.exists() and not path.is_symlink()
        case GoneIfEmpty(path):
            done = not path.is_dir() or any(path.iterdir())
        case Build(folder):
            done = (folder / COMPLETE).exists()
        case _:
            done = False
    return done


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically, by a temporary file; it never has more permissions than ``mode``."""
    _make_folder(path.parent, 0o755)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    new.replace(path)


def link(path: Path, target: Path) -> None:
    """Create a symbolic link, or replace an older one atomically."""
    _make_folder(path.parent, 0o755)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)


def remove(path: Path) -> None:
    """Remove a file, folder or symbolic link, but not the target of a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _make_folder(path: Path, mode: int) -> None:
    if path.is_dir():
        return
    _make_folder(path.parent, 0o755)
    path.mkdir()
    path.chmod(mode)


def _holds(path: Path, content: bytes, mode: int) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() == content


def _way_back(path: Path) -> Undo:
    """Return a function that restores the current state of ``path``."""
    if path.is_symlink():
        target = path.readlink()
        return lambda: link(path, target)
    if path.is_file():
        content, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
        return lambda: write(path, content, mode)
    return lambda: remove(path)


def _reword(folder: Path, was: bytes, will_be: bytes) -> None:
    """Replace a path in the scripts of an environment, which contain that of the interpreter."""
    for file in [*(folder / "bin").iterdir(), folder / "pyvenv.cfg"]:
        if file.is_symlink() or not file.is_file():
            continue
        content = file.read_bytes()
        if was in content:
            write(file, content.replace(was, will_be), stat.S_IMODE(file.stat().st_mode))


def _run(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603 - commands of our own plans
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=RUN_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise ServiceError(f"{argv[0]} is not installed on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"{argv[0]} has not ended in {RUN_S:g} s") from error


def _failed(argv: Sequence[str], done: "subprocess.CompletedProcess[str]") -> str:
    words = (done.stderr or done.stdout).strip().splitlines()[-TOLD_LINES:]
    return "\n".join([f"{' '.join(argv)} ended with status {done.returncode}", *words])


def dry_run(steps: Iterable[Step], say: Callable[[str], object]) -> int:
    """Print the steps that are not done yet, and return their number."""
    fields = news = 0
    for step in steps:
        if _is_left_out(step, news):
            continue
        say(str(step))
        fields += 1
        news += not isinstance(step, Enable)  # it does not restart running services
        if isinstance(step, Build):
            dry_run(step.steps, lambda line: say(f"  {line}"))
    return fields


def _is_left_out(step: Step, news: int) -> bool:
    match step:
        case Run(always=always):
            return not (always or news)
        case StartUnit(is_active=is_active):
            return is_active and not news
        case _:
            return _seems_done(step)


def _seems_done(step: Step) -> bool:
    try:
        return is_done(step)
    except PermissionError:  # a dry run may lack the rights to check
        return False
