"""The reference backend in a separate process, as in real use."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import requests

PASSWORD: Final = "bench"  # noqa: S105 - it guards nothing

STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RunningBackend:
    """Address, process and token of the running backend."""

    url: str
    pid: int
    token: str
    """Result of a login."""

    @property
    def socket_url(self) -> str:
        """Address for a WebSocket."""
        return self.url.replace("http", "ws", 1)


@contextmanager
def running_backend(*arguments: str) -> Iterator[RunningBackend]:
    """Run `jarvis-backend` with ``arguments`` on a free port for the length of the ``with``."""
    command = [sys.executable, "-m", "jarvis_backend", "--companion", "--port", "0", *arguments]
    environment = {**os.environ, "JARVIS_PASSWORD": PASSWORD}
    with subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - it was asked for as a pipe
        assert process.stdout is not None  # noqa: S101 - likewise
        try:
            url = process.stdout.readline().strip()
            yield RunningBackend(url, process.pid, _log_in(url))
        finally:
            process.stdin.close()
            process.wait(STOP_S)


def _log_in(url: str) -> str:
    answer = requests.post(f"{url}/api/auth/login", json={"password": PASSWORD}, timeout=STOP_S)
    return str(answer.json()["token"])
