"""The whole ear as a process of its own, which the test watches through its log and its socket."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from fakes.notify import NotifySocket
from fakes.program import VERB, run
from fakes.recordings import Pcm
from fakes.vmic import vmic
from fakes.voice_service import Switches
from jarvis_ear.control.client import ask

SOON_S: Final = 20.0
"""A deadline for things that take a second or two, on a machine with other work."""

TESTS: Final = Path(__file__).parents[1]
PATH: Final = os.pathsep.join(filter(None, sys.path))
LEVERED: Final = "fakes.levered_ear"
"""The ear with levers, which are files in its folder."""


def run_verb(
    environment: Mapping[str, str], *words: str, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    return run([*VERB, *words], check=check, env=environment)


class RunningEar:
    """Starts the ear inside a ``with``, with folders of its own, and ends it. For one thread.

    ``log`` holds every line of the log so far.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *options: str,
        program: str = "jarvis_ear",
        stdin: int | None = None,
    ) -> None:
        self._stdin = stdin
        self._program = program
        self._state = folder / "remembered"
        self._runtime = folder / "runtime"
        self._runtime.mkdir(parents=True, exist_ok=True)
        self._environment = {
            **environment,
            "LEVERS": str(folder),
            "PYTHONPATH": os.pathsep.join((str(TESTS), environment.get("PYTHONPATH", PATH))),
            "STATE_DIRECTORY": str(self._state),
            "RUNTIME_DIRECTORY": str(self._runtime),
        }
        self._options = options
        self._lines: queue.Queue[str] = queue.Queue()
        self.log: list[str] = []
        self._process: subprocess.Popen[str]

    @property
    def environment(self) -> dict[str, str]:
        return dict(self._environment)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._program, "run", *self._options],
            stdin=self._stdin,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
            start_new_session=True,  # without a terminal, as a service has none
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(SOON_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(SOON_S)
        self._drain()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait_ended(self, within_s: float = SOON_S) -> int:
        return self._process.wait(within_s)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._process.kill()
        self._process.wait()

    def wait_for(self, *words: str) -> str:
        """Wait for a new line of the log that holds one of these words."""
        deadline = time.monotonic() + SOON_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {words} in:\n{self.told()}") from None
            self.log.append(line)
            if any(word in line for word in words):
                return line

    def told(self) -> str:
        self._drain()
        return "".join(self.log)

    def ask(self, word: str) -> dict[str, Any]:
        """Send one word to its control socket, and wait for it to have one."""
        answers: list[dict[str, Any]] = []

        def has_answered() -> bool:
            answer = ask([self._runtime / "control"], word)
            answers.extend([] if answer is None else [answer])
            return bool(answers)

        self.wait_until(has_answered)
        return answers[0]

    def status(self) -> dict[str, Any]:
        return self.ask("status")

    def wait_hearing(self, within_s: float = SOON_S) -> float:
        return self.wait_until(lambda: bool(self.status()["hearing"]), within_s)

    def wait_deaf(self, within_s: float = SOON_S) -> float:
        return self.wait_until(lambda: bool(self.status()["state"] == "deaf"), within_s)

    def wait_connected(self, within_s: float = SOON_S) -> float:
        return self.wait_until(lambda: bool(self.status()["connected"]), within_s)

    def wait_until(self, happens: Callable[[], bool], within_s: float = SOON_S) -> float:
        """Poll what no line tells of; return how many seconds it took."""
        began, pause = time.monotonic(), threading.Event()
        while not happens():
            waited = time.monotonic() - began
            assert waited < within_s, f"not within {within_s} s:\n{self.told()}"
            assert self._process.poll() is None, f"the ear has ended:\n{self.told()}"
            pause.wait(0.02)
        return time.monotonic() - began

    def rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() >= until, seconds + SOON_S)

    def pids(self) -> list[int]:
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        children = [int(word) for task in tasks for word in _text(task / "children").split()]
        return [self.pid, *children]

    def files(self) -> set[str]:
        """Every file that it has open, or a process that it has started."""
        found = set()
        for handle in [one for pid in self.pids() for one in _handles(pid)]:
            try:
                found.add(str(handle.readlink()))
            except FileNotFoundError:
                continue
        return found

    def cpu_s(self) -> float:
        """Seconds of a processor that it has used, with the processes that it has started."""
        return sum(_ticks(pid) for pid in self.pids()) / os.sysconf("SC_CLK_TCK")

    def remembers(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self._state / "mute.json").read_text())
        return told

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.put(line)

    def _drain(self) -> None:
        while not self._lines.empty():
            self.log.append(self._lines.get())


class EarService:
    """A levered ear that runs as a service on a virtual card, inside a ``with``."""

    def __init__(self, folder: Path, sound: Pcm, *options: str, **environment: str) -> None:
        self.card = vmic(folder, sound)
        self.manager = NotifySocket(folder)
        told = {"JARVIS_PASSWORD": Switches().password, **environment}
        surroundings = {**self.card.environment, **self.manager.environment, **told}
        self.ear = RunningEar(folder, surroundings, *options, program=LEVERED)

    def __enter__(self) -> Self:
        self.manager.__enter__()
        self.ear.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.ear.__exit__()
        self.manager.__exit__()

    def until(self, status: str) -> None:
        self.manager.wait_for("STATUS", status)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""


def _handles(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has just ended
        return []


def _ticks(pid: int) -> int:
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])
