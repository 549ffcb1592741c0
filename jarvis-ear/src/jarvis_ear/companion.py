"""Companion: the reference backend as a child process, to try out the ear on one machine.

It is a separate process, because the ear never imports the backend, and because speech recognition
in the same interpreter would delay the ear thread. It stops when its standard input closes, so it
never outlives the ear.
"""

import logging
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import Final, Self

from pydantic import SecretStr

from jarvis_ear.config import Config
from jarvis_ear.errors import ConfigError, ConnectFailed
from jarvis_ear.process import Timed, inherited

STOP_S: Final = 1.5
"""Seconds; it stops in well under one, and the whole program must stop within two."""


_LOGGER: Final = logging.getLogger("jarvis_ear.companion")


class Companion:
    """Runs ``jarvis-backend`` on a free loopback port while the ``with`` block lasts.

    Owned by the main thread. The thread "companion" passes its log lines on to our log.
    """

    def __init__(self, *, transcripts: bool) -> None:
        self._transcripts = transcripts
        self.url = ""
        """URL at which it listens, once it has started."""
        self.password = secrets.token_urlsafe(24)
        """Its password: new for each start, never shown, passed in its environment."""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if find_spec("jarvis_backend") is None or find_spec("fastapi") is None:
            raise ConfigError(
                "--with-backend needs the reference backend, which is not installed: "
                "pip install 'jarvis-ear[backend]'"
            )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jarvis_backend", "--companion", "--port=0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,  # Ctrl-C in the terminal must reach only us; we stop the child
            env={
                **inherited(os.environ),
                "JARVIS_PASSWORD": self.password,
                "JARVIS_BACKEND_LOG__TRANSCRIPTS": str(self._transcripts).lower(),
            },
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        assert self._process.stderr is not None  # noqa: S101 - likewise
        self._words = threading.Thread(
            target=_pass_on, args=(self._process.stderr,), name="companion", daemon=True
        )
        self._words.start()
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
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._words.join(STOP_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


@contextmanager
def companion_of(options: Config) -> Iterator[Callable[[Config], Config]]:
    """Start a companion if configured, and yield a function that points options at it."""
    if not options.with_backend:
        yield lambda unchanged: unchanged
        return
    with Timed("companion", Companion(transcripts=options.log.transcripts)) as companion:
        there = {"url": companion.url, "password": SecretStr(companion.password)}
        there["token"] = SecretStr("")
        yield lambda read: read.model_copy(
            update={"backend": read.backend.model_copy(update=there)}
        )


def _pass_on(lines: Iterable[str]) -> None:
    """Log the lines of the backend; each begins with a level and the name of a logger."""
    for line in lines:
        level, _, rest = line.rstrip().partition(" ")
        _, _, text = rest.partition(": ")
        number = logging.getLevelNamesMapping().get(level)
        _LOGGER.log(number or logging.INFO, "backend: %s", text if number else line.rstrip())
