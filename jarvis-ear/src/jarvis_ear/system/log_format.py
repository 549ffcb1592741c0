"""What a log line looks like to a person, to the journal, and to a program.

A record's structured fields are its attributes in capitals (``TURN_ID``, ``LATENCY_SENT_MS``, ...),
given with ``extra=``. Text leaves them out: what a person needs stands in the message.
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

PRIORITIES: Final[Mapping[int, int]] = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
"""The numbers of syslog(3), which the journal understands too."""

OURS: Final = ("jarvis_ear", "jarvis_backend")
"""Loggers whose name nobody needs to read: ours, and those of a backend that runs along with us."""

_COLOURS: Final[Mapping[int, str]] = {
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}
_NO_COLOUR: Final = "\x1b[0m"

_SECRETS: Final = (
    # A JSON Web Token: three parts of base64url, the first a JSON object ("eyJ" is its '{"').
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "[token]"),
    # Somebody's voice: the value of "audio" in a message, as JSON or as Python shows it.
    (re.compile(r"""(["']audio["']\s*:\s*)(?:b?"[^"]*"?|b?'[^']*'?)"""), r"\1[audio]"),
    # Base64 under any other name: no word and no path has so many letters without a break.
    (re.compile(r"[A-Za-z0-9+/_-]{256,}={0,2}"), "[data]"),
)
"""What no line may hold, and what stands there instead."""

_DIRECTIONS: Final = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Unicode's overrides of the writing direction: isprintable, and able to make a line lie."""


def redacted(text: str) -> str:
    """Replace tokens and sound."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def harmless(text: str) -> str:
    """Write every character that moves the cursor, or breaks the line, as its escape."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(map(_visible, text))


def _visible(mark: str) -> str:
    if mark.isprintable() and ord(mark) not in _DIRECTIONS:
        return mark
    return mark.encode("unicode_escape").decode()


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Collect the structured fields of a record."""
    return {name: value for name, value in vars(record).items() if name.isupper()}


def message(record: logging.LogRecord) -> str:
    """Return the message on one line, fit to be seen."""
    return harmless(redacted(record.getMessage()))


def named(record: logging.LogRecord) -> str:
    """Return the message, with the logger's name where it is not one of ours."""
    is_ours = record.name.partition(".")[0] in OURS
    return message(record) if is_ours else f"{record.name}: {message(record)}"


class TextFormatter(logging.Formatter):
    """For a terminal or a file: the time, and the level where it is not the usual one."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Compose the line, and below it the traceback if there is one."""
        line = f"{self.formatTime(record, self.datefmt)} {self._level(record)}{named(record)}"
        return "\n".join([line, *_traceback(record)])

    def _level(self, record: logging.LogRecord) -> str:
        if record.levelno == logging.INFO:
            return ""
        name = f"{record.levelname.lower()}:"
        colour = _COLOURS.get(record.levelno) if self._colour else None
        return f"{name} " if colour is None else f"{colour}{name}{_NO_COLOUR} "


class JournalFormatter(logging.Formatter):
    """For the journal, which notes the time itself: every line begins with its priority."""

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Compose the lines."""
        prefix = f"<{PRIORITIES.get(record.levelno, PRIORITIES[logging.INFO])}>"
        lines = [named(record), *_traceback(record)]
        if self._inner is not None:
            lines = [self._inner.format(record)]
        return "\n".join(prefix + line for line in lines)


class JsonFormatter(logging.Formatter):
    """For programs: one JSON object per line, the structured fields in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Compose the line."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message(record),
        }
        if traceback := _traceback(record):
            line["traceback"] = "\n".join(traceback)
        return json.dumps(line | fields(record), default=str)


def _traceback(record: logging.LogRecord) -> list[str]:
    if not record.exc_info:
        return []
    text = redacted(logging.Formatter().formatException(record.exc_info))
    return [harmless(line) for line in text.splitlines()]
