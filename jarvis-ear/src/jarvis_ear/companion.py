"""The reference backend as a companion process, for trying out the ear on one machine.

A process of its own, because the ear never imports the backend, and because speech recognition in
the same interpreter would take its turns from the ear thread. It stops when its standard input
closes, so it cannot outlive us, however we end.
"""

import os
import secrets
import subprocess
import sys
from importlib.util import find_spec
from types import TracebackType
from typing import Final, Self

from jarvis_ear.errors import ConfigError, ConnectFailed

STOP_S: Final = 1.5
"""It stops in well under a second; the whole program must stop within two."""


class Companion:
    """Runs ``jarvis-backend`` on a free loopback port while the ``with`` block lasts.

    Owned by the main thread. Its log lines go where ours go.
    """

    def __init__(self) -> None:
        self.url = ""
        """Where it listens, once it has started."""
        self.password = secrets.token_urlsafe(24)
        """What it accepts: made anew each time, never shown, passed in its environment."""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if find_spec("jarvis_backend") is None or find_spec("fastapi") is None:
            raise ConfigError(
                "--with-backend needs the reference backend, which is not installed: "
                "pip install 'jarvis-ear[backend]'"
            )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jarvis_backend", "--companion", "--port", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "JARVIS_PASSWORD": self.password},
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self._stop()
            raise ConnectFailed("the reference backend did not start; its own words are above")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
