"""The delivery half of the ear for tests: in this process, and in one that can be killed."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from fakes.told import Told
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.timeouts import Timeouts, Timing
from jarvis_ear.spool.store import Spool

PASSWORD = "open sesame"
TESTS = Path(__file__).parents[1]


@contextmanager
def ear(
    url: str, /, timing: Timing | None = None, spool: Spool | None = None, **changes: Any
) -> Iterator[tuple[BackendClient, Told]]:
    """A client of the backend at ``url``, not started, and what it tells. Options may be absurd."""
    told = Told()
    config = BackendOptions(url=url, password=SecretStr(PASSWORD)).model_copy(update=changes)
    client = BackendClient(config, on_event=told, timing=timing, spool=spool)
    try:
        yield client, told
    finally:
        client.disconnect()


def timing(times_faster: float = 1.0) -> Timing:
    """Every deadline of the product, divided. Those of the options are divided by their owner."""
    real, patience = Timing(), Timeouts()
    return replace(
        real,
        ping_s=real.ping_s / times_faster,
        dead_s=real.dead_s / times_faster,
        turn=replace(
            patience,
            start_ack_s=patience.start_ack_s / times_faster,
            flush_s=patience.flush_s / times_faster,
            processing_s=patience.processing_s / times_faster,
        ),
    )


class EarProcess:
    """A ``BackendClient`` in a process of its own. Used by one test; its methods wait, bounded.

    ``events`` gets every line that the process writes, in order; it is unbounded, for a test.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._told = {"url": url, **options}
        self._process: subprocess.Popen[str] | None = None
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        """What it says: delivery events by name, ``said`` after each ``say``."""
        self.lost: list[dict[str, Any]] = []
        """What its microphone, inbox and ear have lost: nothing that a backend does costs sound."""
        self.log: list[str] = []
        """Its standard error, line by line: what it warns of."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.kill()
        if kind is None:
            assert self.lost == []

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, program: str = "fakes.ear_program", **more: Any) -> None:
        told = json.dumps({**self._told, **more})
        self._process = subprocess.Popen(
            [sys.executable, "-m", program, told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), *_path()))},
        )
        for read in (self._read, self._read_log):
            threading.Thread(target=read, args=(self._process,), daemon=True).start()

    def kill(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.kill()
            self._process.wait(10)
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def tell(self, **command: Any) -> None:
        """Give it a command. One that has been killed hears nothing."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return

    def wait(self, *names: str, within_s: float = 10.0, **matching: Any) -> dict[str, Any]:
        """Take lines until an event of one of these names comes that has these values."""
        while True:
            line = self.events.get(timeout=within_s)
            if line["event"] in names and matching.items() <= line.items():
                return line

    def resident_kib(self) -> int:
        return int(_status(self.pid, "VmRSS").split()[0])

    def threads(self) -> int:
        return int(_status(self.pid, "Threads"))

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):  # not torn by a kill
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "lost":
            self.lost.append(event)
        else:
            self.events.put(event)

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line)  # as it comes


def _path() -> list[str]:
    return [each for each in sys.path if each]


def _status(pid: int, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    raise LookupError(name)
