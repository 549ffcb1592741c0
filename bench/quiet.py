"""Cost of listening to a quiet room and to conversation, compared with other programs.

All programs run at the same time, in the same window, on a virtual ALSA card: the whole daemon as
in real use (all its processes, with a connected backend), and the loops of ``bench.rivals``. CPU
time is the scheduler's accounting of each thread (``/proc/PID/task/TID/schedstat``), which includes
wake-ups of some microseconds that the clock ticks of ``/proc/PID/stat`` miss.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from statistics import median
from typing import Final, TypeAlias

import numpy as np

from bench.backend_process import PASSWORD, running_backend
from bench.material import ROOT, Collection, quiet_room
from bench.rivals import RIVALS
from bench.scale import Scale
from bench.sound import Sound, seconds
from bench.table import Figure, Row, Table

sys.path.insert(0, str(ROOT / "tests"))

from fakes.vmic import missing_tools, vmic

Running: TypeAlias = "subprocess.Popen[bytes]"

EAR: Final = "jarvis-ear"
LIGHT_EAR: Final = "jarvis-ear, light"
"""The ear with `hearing.wake.effort` = `light`."""
REFERENCE: Final = "openwakeword"
"""Shares are relative to this program in the same window."""

HOUR_S: Final = 3600.0
KIB: Final = 1024.0

SETTLE_S: Final = 15.0
"""Seconds between the start of the programs and the first window, to load and connect."""

START_S: Final = 60.0
"""Seconds within which the daemon must hear and reach its backend."""

QUIET_SHARE, COMPANY_SHARE, CPU_S, SWITCHES, RSS_SHARE, PSS_SHARE = 3.0, 45.0, 8.0, 10.0, 40.0, 30.0
"""Targets: per cent of the reference, CPU s/h, voluntary switches per second."""


@dataclass(slots=True)
class Usage:
    """Resources of a program in one window: all its processes and threads together."""

    cpu_s: float = 0.0
    """CPU seconds per hour."""
    switches: float = 0.0
    """Voluntary context switches per second."""
    rss: float = 0.0
    """Resident memory at the end of the window, MiB: shared pages count for each process."""
    pss: float = 0.0
    """Proportional set size in MiB; NaN if the system does not permit reading it."""
    threads: dict[str, float] = field(default_factory=dict)
    """CPU seconds per hour by names of process and thread."""


def quiet(scale: Scale, _collection: Collection) -> list[Table]:
    """Listen to a quiet room: noise of -72 dBFS."""
    noise = quiet_room("quiet", _length_s(scale))
    return _tables("A quiet room", noise, scale, QUIET_SHARE, is_quiet=True)


def company(scale: Scale, collection: Collection) -> list[Table]:
    """Listen to continuous conversation: the gate stays open and saves nothing."""
    talk = np.resize(collection.talk, seconds(_length_s(scale)))
    return _tables("The television talks", talk, scale, COMPANY_SHARE, is_quiet=False)


def _length_s(scale: Scale) -> float:
    return SETTLE_S + START_S + scale.quiet_s * scale.quiet_windows


def _tables(title: str, sound: Sound, scale: Scale, share: float, *, is_quiet: bool) -> list[Table]:
    if missing := missing_tools():
        return [Table(title, ("program",), [], "", [f"not measured: {missing}"])]
    windows = _measure(sound, scale, () if is_quiet else (LIGHT_EAR,))
    return [
        _programs(title, windows, scale, share, is_quiet=is_quiet),
        _threads(title, windows),
    ]


def _programs(
    title: str,
    windows: Sequence[Mapping[str, Usage]],
    scale: Scale,
    share: float,
    *,
    is_quiet: bool,
) -> Table:
    rows: list[Row] = []
    for name in windows[0]:
        used = [window[name] for window in windows]
        ratios = [
            100 * window[name].cpu_s / window[REFERENCE].cpu_s
            for window in windows
            if window[REFERENCE].cpu_s
        ]
        ours = name == EAR
        rows.append(
            (
                name,
                Figure(median(ratios), ".1f", " %", share if ours else None),
                Figure(
                    median(each.cpu_s for each in used),
                    ".1f",
                    "",
                    CPU_S if ours and is_quiet else None,
                ),
                Figure(
                    median(each.switches for each in used),
                    ".1f",
                    "",
                    SWITCHES if ours and is_quiet else None,
                ),
                _memory([each.rss for each in used]),
                _memory_share(windows, name, "rss", RSS_SHARE),
                _memory([each.pss for each in used]),
                _memory_share(windows, name, "pss", PSS_SHARE),
            )
        )
    return Table(
        f"{title}: CPU and memory of whole programs at the same time on one virtual sound card",
        ("program", "share", "CPU s/h", "switches/s", "RSS MiB", "share", "PSS MiB", "share"),
        rows,
        f"{EAR} <= {share:g} % of {REFERENCE}'s CPU"
        + (f", <= {CPU_S:g} CPU s/h, <= {SWITCHES:g} voluntary switches/s" if is_quiet else "")
        + f", RSS <= {RSS_SHARE:g} %, PSS <= {PSS_SHARE:g} %",
        [
            f"medians of {scale.quiet_windows} windows of {scale.quiet_s:g} s",
            f"share: of {REFERENCE} in the same window",
            f"{EAR}: all processes of the daemon, connected to a backend that is not counted",
        ],
    )


def _memory(values: Sequence[float]) -> Figure:
    return Figure(median(values), ".0f")


def _memory_share(
    windows: Sequence[Mapping[str, Usage]], name: str, which_memory: str, target: float
) -> Figure:
    ratios = [
        100 * getattr(window[name], which_memory) / getattr(window[REFERENCE], which_memory)
        for window in windows
    ]
    return Figure(median(ratios), ".0f", " %", target if name == EAR else None)


def _threads(title: str, windows: Sequence[Mapping[str, Usage]]) -> Table:
    spent: dict[str, list[float]] = defaultdict(list)
    for window in windows:
        for name, cpu_s in window[EAR].threads.items():
            spent[name].append(cpu_s)
    middle = {name: median(values) for name, values in spent.items()}
    rows: list[Row] = [
        (name, Figure(cpu_s, ".2f"))
        for name, cpu_s in sorted(middle.items(), key=lambda item: -item[1])
        if cpu_s >= 0.01  # noqa: PLR2004 - a thread that never runs is of no interest
    ]
    return Table(f"{title}: where the CPU of {EAR} goes", ("thread", "CPU s/h"), rows)


def _measure(sound: Sound, scale: Scale, others: Sequence[str]) -> list[dict[str, Usage]]:
    """Run all programs at the same time; return the resources of each in each window.

    ``others``: further ears, by their names.
    """
    with ExitStack() as up:
        folder = Path(up.enter_context(tempfile.TemporaryDirectory()))
        card = vmic(folder, sound, shared=True)
        environment = {**os.environ, **card.environment}
        backend = up.enter_context(running_backend())
        running = {EAR: up.enter_context(running_ear(folder, backend.url, environment))}
        for name in others:
            light = ("--hearing.wake.effort", "light")
            (own := folder / name).mkdir()
            running[name] = up.enter_context(
                running_ear(own, backend.url, environment, options=light)
            )
        for name in _installed():
            command = [sys.executable, "-m", "bench.rivals", name]
            running[name] = up.enter_context(_running(command, environment))
        time.sleep(min(SETTLE_S, scale.quiet_s * 2))
        return [_window(running, scale.quiet_s) for _ in range(scale.quiet_windows)]


def _installed() -> list[str]:
    """Return the other programs that this machine can run."""
    needs_arecord = set(RIVALS) - {REFERENCE}
    return [
        name
        for name in RIVALS
        if not (name in needs_arecord and which("arecord") is None)
        and not (name == "microwakeword" and find_spec("pymicro_wakeword") is None)
    ]


def _window(running: Mapping[str, Running], length_s: float) -> dict[str, Usage]:
    began = time.monotonic()
    before = {name: _threads_of(process.pid) for name, process in running.items()}
    time.sleep(length_s)
    lasted_s = time.monotonic() - began
    for name, process in running.items():
        if process.poll() is not None:
            raise ChildProcessError(f"{name} ended with status {process.returncode}")
    return {name: _usage(process.pid, before[name], lasted_s) for name, process in running.items()}


def _usage(pid: int, before: Mapping[tuple[int, int], "_Thread"], lasted_s: float) -> Usage:
    usage = Usage()
    for key, thread in _threads_of(pid).items():
        was = before.get(key, _Thread(thread.name, 0.0, 0))
        cpu_s = (thread.cpu_s - was.cpu_s) / lasted_s * HOUR_S
        usage.cpu_s += cpu_s
        usage.threads[thread.name] = usage.threads.get(thread.name, 0.0) + cpu_s
        usage.switches += (thread.switches - was.switches) / lasted_s
    for process in _tree(pid):
        usage.rss += _kib(Path(f"/proc/{process}/status"), "VmRSS:") / KIB
        usage.pss += _kib(Path(f"/proc/{process}/smaps_rollup"), "Pss:") / KIB
    return usage


@dataclass(frozen=True, slots=True)
class _Thread:
    name: str
    cpu_s: float
    switches: int


def _threads_of(pid: int) -> dict[tuple[int, int], _Thread]:
    """Return every thread of a process and of its children, by process and thread id."""
    found = {}
    for number, process in enumerate(_tree(pid)):
        for task in Path(f"/proc/{process}/task").iterdir():
            try:
                name = (task / "comm").read_text().strip()
                cpu_s = int((task / "schedstat").read_text().split()[0]) / 1e9
                switches = int(_line(task / "status", "voluntary_ctxt_switches:"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            where = "main process" if number == 0 else f"child {number}"
            found[process, int(task.name)] = _Thread(f"{where}: {name}", cpu_s, switches)
    return found


def _tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [pid, *(one for child in children for one in _tree(child))]


def _line(path: Path, start: str) -> str:
    for line in path.read_text().splitlines():
        if line.startswith(start):
            return line.removeprefix(start).strip()
    raise FileNotFoundError(path)


def _kib(path: Path, start: str) -> float:
    try:
        return float(_line(path, start).split()[0])
    except PermissionError:  # only root may read the ear's memory
        return float("nan")
    except FileNotFoundError:  # it has just ended
        return 0.0


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Running]:
    with subprocess.Popen(  # noqa: S603 - programs of this bench
        command,
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def running_ear(
    folder: Path,
    url: str,
    environment: Mapping[str, str],
    password: str = PASSWORD,
    *,
    options: Sequence[str] = (),
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the daemon; wait until it hears and reaches its backend."""
    own = {
        **environment,
        "JARVIS_PASSWORD": password,
        "RUNTIME_DIRECTORY": str(folder / "run"),
        "STATE_DIRECTORY": str(folder / "state"),
    }
    for name in ("run", "state"):
        (folder / name).mkdir(mode=0o700)
    program = str(Path(sys.executable).with_name(EAR))
    command = [program, "run", "--device", "vmic", "--backend-url", url, *options]
    with _running(command, own) as process:
        end = time.monotonic() + START_S
        while not _hears(program, own):
            if process.poll() is not None or time.monotonic() > end:
                raise ChildProcessError(f"{EAR} does not hear, or does not reach its backend")
            time.sleep(0.5)
        yield process


def _hears(program: str, environment: Mapping[str, str]) -> bool:
    said = subprocess.run(  # noqa: S603 - our own program
        [program, "status", "--json"], env=environment, capture_output=True, check=False
    ).stdout
    report = json.loads(said) if said else {}
    return bool(report.get("hearing") and report.get("connected"))
