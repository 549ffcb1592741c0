"""A real systemd as process 1 of its own namespaces, over throw-away files.

Whatever is installed, started or broken in the box is gone with it: its root is this machine's,
under an upper layer in memory. Its network is the machine's, loopback included. Needs root
and util-linux; see ``missing``.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, Self

INIT: Final = Path(__file__).parents[1] / "platform" / "box_init.py"
SYSTEMD: Final = Path("/lib/systemd/systemd")
UP_S: Final = 60.0
"""It takes one to four seconds on a machine that has nothing else to do."""

GONE_S: Final = 10.0
"""Killed processes leave their control groups within milliseconds."""

COMMAND_S: Final = 120.0
"""The longest command that a test runs in the box."""

NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--pid", "--cgroup")


@cache
def missing() -> str | None:
    if os.geteuid() != 0:
        return "only root can make namespaces with a service manager in them"
    for tool in ("unshare", "nsenter", "mount", "pivot_root"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if not SYSTEMD.exists():
        return "systemd is not installed"
    tried = subprocess.run(
        ["unshare", "--fork", *NAMESPACES, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"the kernel forbids namespaces: {tried.stderr.strip()}" if tried.returncode else None


class SystemdBox:
    """Boots inside a ``with``. ``folder`` is a new one of the test's, outside the box.

    ``shows`` says which folders of this machine are seen, read only, where in the box: its /tmp and
    /run are its own. With ``own_network`` it has a loopback interface of its own, so that its
    services do not meet those of another box.
    """

    def __init__(
        self, folder: Path, shows: Mapping[Path, str], *, own_network: bool = False
    ) -> None:
        self._network = ["--net"] if own_network else []
        self._folder = folder
        self._shows = shows
        self._groups: list[Path] = []
        self._unshare: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    @property
    def root(self) -> Path:
        """The root of the box, as it is seen from outside."""
        return Path(f"/proc/{self._leader}/root")

    def at(self, path: str) -> Path:
        """Return a path of the box as it is seen from outside."""
        return self.root / path.lstrip("/")

    def run(
        self, *argv: str, check: bool = True, stdin: str = "", user: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        spaces = [*NAMESPACES, *self._network]
        inside = ["nsenter", "-t", str(self._leader), *spaces, "--root", "--wd"]
        who = ["runuser", "-u", user, "--"] if user else []
        return subprocess.run(
            [*inside, *who, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            check=check,
            timeout=COMMAND_S,
            env={
                "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG": "C.UTF-8",
                "SYSTEMD_PAGER": "",
                "SYSTEMD_COLORS": "0",
                **{name: text for name, text in os.environ.items() if name.startswith("PIP_")},
            },
        )

    def _boot(self) -> None:
        for group in _own_groups(f"box-{secrets.token_hex(4)}"):
            group.mkdir()
            self._groups.append(group)
        (self._folder / "layers").mkdir(parents=True)
        with (self._folder / "log").open("wb") as log:
            self._unshare = subprocess.Popen(
                [
                    *(sys.executable, INIT, self._folder),
                    *(f"{outside}:{inside}" for outside, inside in self._shows.items()),
                    *self._groups,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "BOX_NAMESPACES": " ".join(self._network)},
                start_new_session=True,
            )
        self._wait_until_it_runs()

    def _wait_until_it_runs(self) -> None:
        assert self._unshare is not None
        deadline = time.monotonic() + UP_S
        while time.monotonic() < deadline:
            if self._unshare.poll() is not None:
                break
            self._leader = _systemd_below(self._unshare.pid)
            if self._leader and self._state() in {"running", "degraded"}:
                return
            time.sleep(0.05)
        raise RuntimeError(f"no box: {(self._folder / 'log').read_text()[-1000:]}")

    def _state(self) -> str:
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def _kill(self) -> None:
        """Kill process 1: the kernel kills the others, and the mounts go with the last of them."""
        if self._leader:
            with suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)
        if self._unshare is not None:
            self._unshare.kill()
            self._unshare.wait()
        for group in self._groups:
            _remove_group(group)


def _own_groups(name: str) -> Iterator[Path]:
    """List a new group below our own, in each hierarchy that a service manager uses."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mounted = Path("/sys/fs/cgroup", controllers.removeprefix("name=") or "unified")
        if not controllers and not mounted.is_dir():
            mounted = Path("/sys/fs/cgroup")
        wanted = {"", "name=systemd", "pids", "devices", "memory", "cpu", "cpuacct", "cpu,cpuacct"}
        if controllers in wanted and mounted.is_dir():
            yield mounted / path.lstrip("/") / name


def _remove_group(group: Path) -> None:
    deadline = time.monotonic() + GONE_S
    while time.monotonic() < deadline:
        try:
            for folder in sorted(group.rglob("*/"), reverse=True):
                folder.rmdir()
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # the last process is still on its way out
            time.sleep(0.05)
        else:
            return


def _systemd_below(pid: int) -> int:
    """Return the process that is process 1 of the box, once it is systemd; 0 until then."""
    children = _children(pid)
    for child in children:
        with suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text().strip() == SYSTEMD.name:
                return child
    return next((found for child in children if (found := _systemd_below(child))), 0)


def _children(pid: int) -> Sequence[int]:
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
