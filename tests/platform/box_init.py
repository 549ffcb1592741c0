"""What becomes process 1 of a box (``fakes.systemd_box``): mounts its world, then is systemd.

Run with the box's folder, what it shows (``OUTSIDE:INSIDE``) and its control groups; runs itself
again in new namespaces with ``inside`` as first argument.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

LEFT_OUT = """
systemd-timesyncd.service systemd-pstore.service systemd-udevd.service systemd-logind.service
systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service getty@.service
console-getty.service e2scrub_reap.service postgresql.service
dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount
"""
"""What deals with the hardware of the machine, with people who log in, or with its databases."""

PR_SET_PDEATHSIG = 1  # prctl(2)
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "fd/0",
    "stdout": "fd/1",
    "stderr": "fd/2",
}


def mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def outside(folder: str, rest: list[str]) -> None:
    """Step into the groups, so that the new namespace has its root there; then make it.

    The box dies with the process that started it.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for group in groups_of(rest):
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    spaces = ["--pid", "--mount", "--uts", "--ipc", "--cgroup", "--propagation", "private"]
    spaces += os.environ.get("BOX_NAMESPACES", "").split()
    inner = [sys.executable, __file__, "inside", folder, *rest]
    os.execvp("unshare", ["unshare", "--fork", "--kill-child=KILL", *spaces, *inner])  # noqa: S606 - becomes it


def groups_of(rest: list[str]) -> list[str]:
    return [word for word in rest if word.startswith("/sys/fs/cgroup/")]


def inside(folder: Path, rest: list[str]) -> None:
    root = overlay(folder)
    for shown in rest:
        if ":" in shown:
            show(root, *shown.split(":"))
    leave_out(root / "etc/systemd/system")
    (root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    shutil.rmtree(root / "var/log/journal", ignore_errors=True)
    (root / "var/log/journal").mkdir(parents=True)
    mount("-t", "proc", "proc", root / "proc")
    mount("-o", "bind,ro", "/proc/sys", root / "proc/sys")
    mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    devices(root / "dev")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "run")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp")
    control_groups(root / "sys/fs/cgroup", groups_of(rest))
    os.chdir(root)
    Path(".old").mkdir()
    subprocess.run(["pivot_root", ".", ".old"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "-l", "/.old"], check=True)
    mount("--make-rshared", "/")
    os.execve("/lib/systemd/systemd", ["systemd"], {"container": "box"})  # noqa: S606 - becomes it


def show(root: Path, outside: str, inside: str) -> None:
    place = root / inside.lstrip("/")
    place.mkdir(parents=True)
    mount("--bind", outside, place)
    mount("-o", "remount,bind,ro", place)


def overlay(folder: Path) -> Path:
    layers, root = folder / "layers", folder / "root"
    mount("-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", layers)
    (layers / "up").mkdir()
    (layers / "work").mkdir()
    root.mkdir()
    options = f"lowerdir=/,upperdir={layers / 'up'},workdir={layers / 'work'}"
    mount("-t", "overlay", "overlay", "-o", options, root)
    return root


def leave_out(units: Path) -> None:
    for wants in units.glob("*.wants"):
        shutil.rmtree(wants)
    for unit in LEFT_OUT.split():
        relink(units / unit, "/dev/null")
    relink(units / "default.target", "/lib/systemd/system/multi-user.target")


def relink(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def devices(dev: Path) -> None:
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", dev)
    for name in DEVICES:
        (dev / name).touch()
        mount("--bind", Path("/dev", name), dev / name)
    (dev / "pts").mkdir()
    (dev / "shm").mkdir()
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=666,mode=620", "devpts", dev / "pts")
    mount("-t", "tmpfs", "tmpfs", dev / "shm")
    for name, target in LINKS.items():
        (dev / name).symlink_to(target)


def control_groups(place: Path, groups: list[str]) -> None:
    """Mount the hierarchies as they are outside: one, or the older many."""
    kinds = [Path(group).relative_to("/sys/fs/cgroup").parts[0] for group in groups]
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        mount("-t", "cgroup2", "cgroup2", place)
        return
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", place)
    for kind in kinds:
        (place / kind).mkdir()
        match kind:
            case "unified":
                mount("-t", "cgroup2", "cgroup2", place / kind)
            case "systemd":
                mount("-t", "cgroup", "-o", "none,name=systemd", "cgroup", place / kind)
            case _:
                mount("-t", "cgroup", "-o", kind, "cgroup", place / kind)


if sys.argv[1] == "inside":
    inside(Path(sys.argv[2]), sys.argv[3:])
else:
    outside(sys.argv[1], sys.argv[2:])
