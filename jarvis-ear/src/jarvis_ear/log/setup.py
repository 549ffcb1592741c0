"""Log set-up: destination, format, and the first and last records."""

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
from jarvis_ear.log.journal import SOCKET, JournalHandler, JournalSocket
from jarvis_ear.log.redact import OURS, JsonFormatter, PrefixFormatter, TextFormatter
from jarvis_ear.log.status_line import StatusLine

_LOGGER = logging.getLogger(__name__)

PROJECT_LOGGER: Final = __name__.partition(".")[0]
"""Parent of all our loggers; those of libraries keep their level."""


def set_level(log: config.LogOptions) -> None:
    """Log records of this level and above from now on."""
    level = log.level.upper()
    logging.getLogger(PROJECT_LOGGER).setLevel(level)
    for handler in logging.getLogger().handlers:
        handler.setLevel(level)


OTHERS: Final = (
    "engineio",
    "engineio.client",  # without a level set here, the library adds a handler to it
    "socketio",
    "socketio.client",
    "aiohttp",
    "asyncio",
    "requests",
    "urllib3",
)
"""Libraries that log every packet below WARNING, including tokens and recorded speech."""


@contextmanager
def setup(
    log: config.LogOptions,
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    journal: Path = SOCKET,
) -> Iterator[StatusLine]:
    """Send all log records to ``stream`` (default: standard error) while the block lasts.

    If that is the journal, records go to its socket, with their fields. Yields the status line,
    which is drawn only on a terminal. Main thread only.
    """
    stream = sys.stderr if stream is None else stream
    environ = os.environ if environ is None else environ
    is_drawn = log.format != "json" and _is_terminal(stream, environ)
    line = StatusLine(stream, enabled=is_drawn)
    handler: logging.Handler | None = None
    if log.format == "auto" and is_journal(stream, environ):
        handler = _journal_handler(journal)
    if handler is None:
        handler = logging.StreamHandler(line)
        handler.setFormatter(_formatter(log, stream, environ))
    handler.setLevel(log.level.upper())
    ours = dict.fromkeys(OURS, log.level.upper())  # only these follow the option
    levels = {"": "WARNING"} | ours | dict.fromkeys(OTHERS, "WARNING")
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger().addHandler(handler)
    try:
        yield line
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        for name, number in before.items():
            logging.getLogger(name).setLevel(number)
        line.close()


def counters() -> Mapping[str, int]:
    """Return how many records the journal did not accept. Any thread may call it."""
    handlers = logging.getLogger().handlers
    lost = sum(each.lost for each in handlers if isinstance(each, JournalHandler))
    return {"log_records_lost": lost}


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether systemd has connected ``stream`` to the journal, see systemd.exec(5)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no descriptor: a stream in memory, or a closed one
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _journal_handler(path: Path) -> logging.Handler | None:
    journal = JournalSocket(path)
    try:
        journal.open()
    except OSError:  # another kind of journal, or out of reach: lines still arrive by the stream
        return None
    return JournalHandler(journal)


def _formatter(
    log: config.LogOptions, stream: TextIO, environ: Mapping[str, str]
) -> logging.Formatter:
    json = JsonFormatter() if log.format == "json" else None
    if is_journal(stream, environ):
        return PrefixFormatter(json)
    has_colour = _is_terminal(stream, environ) and not environ.get("NO_COLOR")  # no-color.org
    return json or TextFormatter(colour=has_colour)


def _is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    return stream.isatty() and environ.get("TERM", "dumb") != "dumb"


_KINDS: Final[Mapping[type[JarvisEarError], Kind]] = {
    ConfigError: kinds.CONFIG_REFUSED,
    AlreadyRunning: kinds.SECOND_EAR,
    DeviceHangs: kinds.HUNG,
}


@contextmanager
def log_lifecycle() -> Iterator[None]:
    """Log the start of the program, and its normal end. Main thread only."""
    fields = kinds.STARTED.fields(VERSION=__version__)
    _LOGGER.info("jarvis-ear %s starts", __version__, extra=fields)
    yield
    _LOGGER.info("jarvis-ear stops", extra=kinds.STOPPED.fields())


def log_final_error(
    error: Exception,
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    journal: Path = SOCKET,
) -> bool:
    """Log the final error to the journal; False if ``stream`` (default: stderr) is not the journal.

    Main thread only, after everything else has stopped.
    """
    stream = sys.stderr if stream is None else stream
    environ = os.environ if environ is None else environ
    if not is_journal(stream, environ):
        return False
    with setup(config.LogOptions(), stream, environ, journal=journal):
        if not isinstance(error, JarvisEarError):
            reason = f"{type(error).__name__}: {error}"
            fields = kinds.CRASHED.fields(REASON=reason)
            _LOGGER.critical("a bug ends jarvis-ear: %s", reason, exc_info=error, extra=fields)
            return True
        kind = _KINDS.get(type(error), kinds.FAILED)
        for line in str(error).splitlines():  # one record per problem of a configuration
            fields = kind.fields(REASON=line, EXIT_STATUS=error.exit_status)
            _LOGGER.error("%s", line, extra=fields)
    return True
