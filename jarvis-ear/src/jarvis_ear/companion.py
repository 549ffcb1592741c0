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
from typing import Final

from pydantic import SecretStr

from jarvis_ear.config import Config
from jarvis_ear.errors import ConfigError, ConnectFailed
from jarvis_ear.lifecycle import timed
from jarvis_ear.process import inherited

STOP_S: Final = 1.5
"""Seconds; it stops in well under one, and the whole program must stop within two."""


_LOGGER: Final = logging.getLogger("jarvis_ear.companion")


@contextmanager
def companion_of(options: Config) -> Iterator[Callable[[Config], Config]]:
    """Start a companion if configured, and yield a function that points options at it.

    Its password is new for each start, never shown, and passed in its environment.
    """
    if not options.with_backend:
        yield lambda unchanged: unchanged
        return
    password = secrets.token_urlsafe(24)
    running = _running(password, transcripts=options.log.transcripts)
    with timed("companion", running) as url:
        there = {"url": url, "password": SecretStr(password), "token": SecretStr("")}
        yield lambda read: read.model_copy(
            update={"backend": read.backend.model_copy(update=there)}
        )


@contextmanager
def _running(password: str, *, transcripts: bool) -> Iterator[str]:
    """Run ``jarvis-backend`` on a free loopback port while the block lasts; yield its URL.

    The thread "companion" passes its log lines on to our log.
    """
    if find_spec("jarvis_backend") is None or find_spec("fastapi") is None:
        raise ConfigError(
            "--with-backend needs the reference backend, which is not installed: "
            "pip install 'jarvis-ear[backend]'"
        )
    with subprocess.Popen(
        [sys.executable, "-m", "jarvis_backend", "--companion", "--port=0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C in the terminal must reach only us; we stop the child
        env={
            **inherited(os.environ),
            "JARVIS_PASSWORD": password,
            "JARVIS_BACKEND_LOG__TRANSCRIPTS": str(transcripts).lower(),
        },
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        assert process.stderr is not None  # noqa: S101 - likewise
        log = threading.Thread(
            target=_pass_on, args=(process.stderr,), name="companion", daemon=True
        )
        log.start()
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise ConnectFailed("the reference backend did not start; its log is above")
            yield url
        finally:
            _stop(process)
            log.join(STOP_S)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _pass_on(lines: Iterable[str]) -> None:
    """Log the lines of the backend; each begins with a level and the name of a logger."""
    for line in lines:
        level, _, rest = line.rstrip().partition(" ")
        _, _, text = rest.partition(": ")
        number = logging.getLevelNamesMapping().get(level)
        _LOGGER.log(number or logging.INFO, "backend: %s", text if number else line.rstrip())
