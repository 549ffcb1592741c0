"""A real Redis server on a free port of this machine, which can be stopped and come back."""

import shutil
import subprocess
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from fakes.voice_server import free_port, wait_until

PROGRAM = shutil.which("redis-server") or shutil.which("redis-check-rdb")
"""One program that goes by the name it is called with: Debian's redis-tools has it too, without the
service that comes with redis-server."""


class RedisServer:
    """One server, which keeps nothing on disk. For one owner."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
            ],
            executable=PROGRAM,
            stdout=subprocess.DEVNULL,
        )
        with Redis(port=self.port) as redis:
            wait_until(lambda: _answers(redis))

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _answers(redis: "Redis") -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
