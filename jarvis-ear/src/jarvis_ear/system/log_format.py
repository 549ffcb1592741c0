"""What a log line looks like to a person, to the journal, and to a program.

Text leaves the fields of a record out: what a person needs stands in the message. The JSON line has
what the journal gets, under the same names.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from jarvis_ear.system.log_record import PRIORITIES, entry, named, traceback

_COLOURS: Final[Mapping[int, str]] = {
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}
_NO_COLOUR: Final = "\x1b[0m"


class TextFormatter(logging.Formatter):
    """For a terminal or a file: the time, and the level where it is not the usual one."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Compose the line, and below it the traceback if there is one."""
        line = f"{self.formatTime(record, self.datefmt)} {self._level(record)}{named(record)}"
        return "\n".join([line, *traceback(record)])

    def _level(self, record: logging.LogRecord) -> str:
        if record.levelno == logging.INFO:
            return ""
        name = f"{record.levelname.lower()}:"
        colour = _COLOURS.get(record.levelno) if self._colour else None
        return f"{name} " if colour is None else f"{colour}{name}{_NO_COLOUR} "


class PrefixFormatter(logging.Formatter):
    """For a journal that takes lines only: each begins with its priority, and has no time."""

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Compose the lines."""
        prefix = f"<{PRIORITIES.get(record.levelno, PRIORITIES[logging.INFO])}>"
        lines = [named(record), *traceback(record)]
        if self._inner is not None:
            lines = [self._inner.format(record)]
        return "\n".join(prefix + line for line in lines)


class JsonFormatter(logging.Formatter):
    """For programs: one JSON object per line, with the fields that the journal would get."""

    def format(self, record: logging.LogRecord) -> str:
        """Compose the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"TIME": at, **entry(record)})
