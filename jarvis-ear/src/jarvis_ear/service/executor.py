"""Executor: carries out the steps of an installation, or describes them."""

import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from jarvis_ear.errors import ServiceError
from jarvis_ear.paths import replacing
from jarvis_ear.service.probe import run
from jarvis_ear.service.steps import (
    Build,
    Enable,
    File,
    Folder,
    Relocate,
    Remove,
    Run,
    StartUnit,
    Step,
    SymbolicLink,
)

COMPLETE: Final = ".complete"
"""Name of the file that marks a completely built folder."""

RUN_S: Final = 900.0
"""Time-out of a command in seconds; the longest is pip on a slow line."""

ERROR_LINES: Final = 5
"""Number of a failed command's last lines that are shown."""


def _run(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return run(argv, RUN_S)


class Executor:
    """Executes steps in order. Used by one thread, with the rights that the paths need.

    ``say`` receives a line for each step that is not done yet; a dry run does nothing else.
    ``run`` runs a command; ``manager`` is that of the layout.
    """

    def __init__(
        self,
        say: Callable[[str], object],
        run: Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"] = _run,
        *,
        manager: tuple[str, ...] = (),
        dry_run: bool = False,
    ) -> None:
        self._manager = manager
        self._systemctl = ("systemctl", *manager)
        self._say = say
        self._run = run
        self._is_dry_run = dry_run
        self._indent = ""
        self._undo: list[Callable[[], object]] = []
        self._started: list[StartUnit] = []
        self._needs_restart = False
        self.changes = 0
        """Steps that changed something."""

    def do(self, steps: Iterable[Step]) -> None:
        """Execute all steps. Raises ``ServiceError`` at the first that fails.

        A failure before the last service runs rolls back all steps, if there was an installation
        before.
        """
        steps = tuple(steps)
        for number, step in enumerate(steps):
            try:
                self._do(step)
            except ServiceError as error:
                starts = [left for left in steps[number:] if isinstance(left, StartUnit)]
                if any(start.can_roll_back for start in starts):
                    raise self._roll_back(error) from error
                raise

    def _do(self, step: Step) -> None:
        try:
            if not self._is_due(step):
                return
            self._say(f"{self._indent}{step}")
            if not self._is_dry_run:
                self._execute(step)
            elif isinstance(step, Build):
                self._describe(step)
        except OSError as error:
            raise ServiceError(f"cannot {step}: {error.strerror}") from error
        if not isinstance(step, Run):
            self.changes += 1
            self._needs_restart |= not isinstance(step, Enable)

    def _is_due(self, step: Step) -> bool:
        match step:
            case Run(always=always):
                return always or self._needs_restart
            case StartUnit(is_active=is_active):
                return not is_active or self._needs_restart
        try:
            return not _is_done(step)
        except PermissionError:
            if self._is_dry_run:  # it may lack the rights to check
                return True
            raise

    def _execute(self, step: Step) -> None:
        match step:
            case Run():
                done = self._run(step.argv)
                if done.returncode and not step.may_fail:
                    raise ServiceError(_failure(step.argv, done))
            case Enable():
                disable = (*self._systemctl, "--quiet", "disable", *step.services)
                self._undo.append(lambda: self._run(disable))
                self._execute(Run((*self._systemctl, "--quiet", "enable", *step.services)))
            case StartUnit():
                self._start(step)
            case Build():
                self._build(step)
            case File() | SymbolicLink() | Remove():
                self._undo.append(_restorer(step.path))
                _apply(step)
            case _:
                _apply(step)

    def _describe(self, step: Build) -> None:
        self._indent += "  "
        self.do(step.steps)
        self._indent = self._indent[2:]

    def _build(self, step: Build) -> None:
        _remove(step.folder)
        self._undo.append(lambda: _remove(step.folder))
        try:
            self.do(step.steps)
        except ServiceError:
            _remove(step.folder)
            raise
        write(step.folder / COMPLETE, b"", 0o644)

    def _start(self, step: StartUnit) -> None:
        self._started.append(step)
        if not self._run((*self._systemctl, "restart", step.service)).returncode:
            return
        service = step.service
        journal = " ".join(("journalctl", *self._manager))
        name = f"the new {service}" if step.can_roll_back else f"{service} is installed but"
        raise ServiceError(f"{name} does not start: {journal} -u {service}")

    def _roll_back(self, cause: ServiceError) -> ServiceError:
        """Undo all steps, restart what ran before, and return an error with the result."""
        if new := [step.service for step in self._started if not step.was_wanted]:
            self._run((*self._systemctl, "stop", *new))
            self._run((*self._systemctl, "--quiet", "reset-failed", *new))
        problems = []
        for undo in reversed(self._undo):
            try:
                undo()
            except OSError as error:
                path = error.filename or "a file"
                problems.append(f"{path} could not be restored ({error.strerror})")
        self._run((*self._systemctl, "daemon-reload"))
        results = [self._restart_old(step) for step in self._started]
        is_restored = not problems and all(is_as_before for is_as_before, _ in results)
        headline = f"{'' if is_restored else 'not '}everything is back as it was"
        summary = "; ".join([headline, *problems, *(text for _, text in results)])
        return ServiceError(f"{cause}\n{summary}")

    def _restart_old(self, step: StartUnit) -> tuple[bool, str]:
        """Restart the old service; return whether it is as before, and a description."""
        if not step.was_wanted:
            return True, f"{step.service} does not run, as before"
        if not self._run((*self._systemctl, "restart", step.service)).returncode:
            return True, f"{step.service} runs again"
        if not step.is_active:
            return True, f"{step.service} did not run before, and does not start now"
        return False, f"the old {step.service} does not start either"


def _is_done(step: Step) -> bool:
    """Whether the result of a step exists already; always False for a command."""
    match step:
        case Folder(path):
            done = path.is_dir()
        case File(path, content, mode, is_owners):
            done = path.exists() if is_owners else _has(path, content, mode)
        case SymbolicLink(path, target):
            done = path.is_symlink() and path.readlink() == target
        case Remove(path, only_empty=True):
            done = not path.is_dir() or any(path.iterdir())
        case Remove(path):
            done = not path.exists() and not path.is_symlink()
        case Build(folder):
            done = (folder / COMPLETE).exists()
        case _:
            done = False
    return done


def _apply(step: Folder | File | SymbolicLink | Remove | Relocate) -> None:
    match step:
        case Folder(path, mode):
            _make_folder(path, mode)
        case File(path, content, mode):
            write(path, content, mode)
        case SymbolicLink(path, target):
            _link(path, target)
        case Remove(path, only_empty=True):
            path.rmdir()
        case Remove(path):
            _remove(path)
        case Relocate():
            _relocate(step)


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically, by a temporary file; it never has more permissions than ``mode``."""
    _make_folder(path.parent, 0o755)
    with replacing(path, mode) as file:
        file.write(content)


def _link(path: Path, target: Path) -> None:
    """Create a symbolic link, or replace an older one atomically."""
    _make_folder(path.parent, 0o755)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)


def _remove(path: Path) -> None:
    """Remove a file, folder or symbolic link, but not the target of a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _make_folder(path: Path, mode: int) -> None:
    """Create a folder with this mode, and its parents with 0755."""
    if not path.is_dir():
        _make_folder(path.parent, 0o755)
        path.mkdir()
        path.chmod(mode)


def _restorer(path: Path) -> Callable[[], object]:
    """Return a function that restores the current state of a file or link; folders stay."""
    if path.is_symlink():
        target = path.readlink()
        return lambda: _link(path, target)
    if path.is_file():
        content, mode = path.read_bytes(), _mode(path)
        return lambda: write(path, content, mode)
    if path.is_dir():
        return lambda: None
    return lambda: _remove(path)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _has(path: Path, content: bytes, mode: int) -> bool:
    is_file = path.is_file() and not path.is_symlink()
    return is_file and _mode(path) == mode and path.read_bytes() == content


def _relocate(step: Relocate) -> None:
    old, new = step.old.encode(), step.new.encode()
    for file in [*(step.folder / "bin").iterdir(), step.folder / "pyvenv.cfg"]:
        if file.is_file() and not file.is_symlink() and old in (content := file.read_bytes()):
            write(file, content.replace(old, new), _mode(file))


def _failure(argv: Sequence[str], done: "subprocess.CompletedProcess[str]") -> str:
    output = (done.stderr or done.stdout).strip().splitlines()[-ERROR_LINES:]
    return "\n".join([f"{' '.join(argv)} ended with status {done.returncode}", *output])
