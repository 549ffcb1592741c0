"""Where log lines go, and which of them."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from jarvis_ear import config
from jarvis_ear.system.journal_handler import JournalHandler
from jarvis_ear.system.journal_socket import SOCKET, JournalSocket
from jarvis_ear.system.live import AnyLive, Live, NoLive
from jarvis_ear.system.log_format import JsonFormatter, PrefixFormatter, TextFormatter
from jarvis_ear.system.log_record import OURS

OTHERS: Final = (
    "engineio",
    "engineio.client",  # with a level of its own, else the library adds a handler to it
    "socketio",
    "socketio.client",
    "aiohttp",
    "asyncio",
    "requests",
    "urllib3",
)
"""Libraries that, below WARNING, tell of every packet, tokens and voices included."""


@contextmanager
def setup(
    log: config.Log,
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    journal: Path = SOCKET,
) -> Iterator[AnyLive]:
    """Send all log lines to ``stream`` (standard error) while the block lasts.

    If that is the journal, its socket gets them, with their fields. Gives the live line, which is
    drawn on a terminal only. For the main thread.
    """
    stream = sys.stderr if stream is None else stream
    environ = os.environ if environ is None else environ
    live = Live(stream) if _is_watched(log, stream, environ) else NoLive()
    handler = _handler(log, stream, environ, live, journal)
    levels = _levels(log)
    before = {name: logging.getLogger(name).level for name in levels}
    _set(levels)
    logging.getLogger().addHandler(handler)
    try:
        yield live
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        _set(before)
        live.close()


def counters() -> Mapping[str, int]:
    """Return how many records the journal did not take. Any thread may ask."""
    handlers = logging.getLogger().handlers
    lost = sum(each.lost for each in handlers if isinstance(each, JournalHandler))
    return {"log_records_lost": lost}


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether ``stream`` is the one that systemd connected to the journal, see systemd.exec(5)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # nothing that has a number: a stream in memory, or closed
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _handler(
    log: config.Log, stream: TextIO, environ: Mapping[str, str], live: AnyLive, journal: Path
) -> logging.Handler:
    """Make the one handler: fields for the journal where it takes them, else lines."""
    wants_fields = log.format == "auto" and is_journal(stream, environ)
    handler = _journal_handler(journal) if wants_fields else None
    if handler is None:
        handler = logging.StreamHandler(live if isinstance(live, Live) else stream)
        handler.setFormatter(_formatter(log, stream, environ))
    handler.setLevel(log.level.upper())
    return handler


def _journal_handler(path: Path) -> logging.Handler | None:
    journal = JournalSocket(path)
    try:
        journal.open()
    except OSError:  # a journal of another kind, or out of our reach: lines get there anyway
        return None
    return JournalHandler(journal)


def _formatter(log: config.Log, stream: TextIO, environ: Mapping[str, str]) -> logging.Formatter:
    json = JsonFormatter() if log.format == "json" else None
    if is_journal(stream, environ):
        return PrefixFormatter(json)
    return json or TextFormatter(colour=_is_terminal(stream, environ) and not _wants_plain(environ))


def _levels(log: config.Log) -> dict[str, str]:
    """Only our own loggers follow the option; the handler holds back what is below it."""
    ours = dict.fromkeys(OURS, log.level.upper())
    return {"": "WARNING"} | ours | dict.fromkeys(OTHERS, "WARNING")


def _set(levels: Mapping[str, str] | Mapping[str, int]) -> None:
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def _is_watched(log: config.Log, stream: TextIO, environ: Mapping[str, str]) -> bool:
    return log.format != "json" and _is_terminal(stream, environ)


def _is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    return stream.isatty() and environ.get("TERM", "dumb") != "dumb"


def _wants_plain(environ: Mapping[str, str]) -> bool:
    """Whether the person asked for no colours (no-color.org: set, and not empty)."""
    return bool(environ.get("NO_COLOR"))
