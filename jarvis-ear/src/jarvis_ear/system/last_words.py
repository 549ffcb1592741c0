"""The first and the last words of the program, for whoever asks the journal why it runs, or not."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from jarvis_ear import __version__, config
from jarvis_ear.errors import AlreadyRunning, ConfigError, DeviceHangs, JarvisEarError
from jarvis_ear.journal import life as kinds
from jarvis_ear.journal.kind import Kind
from jarvis_ear.system import logs
from jarvis_ear.system.journal_socket import SOCKET

_KINDS: Final[Mapping[type[JarvisEarError], Kind]] = {
    ConfigError: kinds.CONFIG_REFUSED,
    AlreadyRunning: kinds.SECOND_EAR,
    DeviceHangs: kinds.HUNG,
}

_LOGGER = logging.getLogger(__name__)


@contextmanager
def life_told() -> Iterator[None]:
    """Say that the program starts, and that it stops in order. For the main thread."""
    told = kinds.STARTED.told(VERSION=__version__)
    _LOGGER.info("jarvis-ear %s starts", __version__, extra=told)
    yield
    _LOGGER.info("jarvis-ear stops", extra=kinds.STOPPED.told())


def last_words(
    error: Exception,
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    journal: Path = SOCKET,
) -> bool:
    """Tell the journal what ends the program; False if ``stream`` (standard error) is none.

    For the main thread, when everything else is over.
    """
    stream = sys.stderr if stream is None else stream
    environ = os.environ if environ is None else environ
    if not logs.is_journal(stream, environ):
        return False
    with logs.setup(config.Log(), stream, environ, journal=journal):
        if isinstance(error, JarvisEarError):
            _tell(error)
        else:
            reason = f"{type(error).__name__}: {error}"
            told = kinds.CRASHED.told(REASON=reason)
            _LOGGER.critical("a bug ends jarvis-ear: %s", reason, exc_info=error, extra=told)
    return True


def _tell(error: JarvisEarError) -> None:
    """Tell one problem after the other: a configuration may have many."""
    kind = _KINDS.get(type(error), kinds.FAILED)
    for line in str(error).splitlines():
        told = kind.told(REASON=line, EXIT_STATUS=error.exit_status)
        _LOGGER.error("%s", line, extra=told)
