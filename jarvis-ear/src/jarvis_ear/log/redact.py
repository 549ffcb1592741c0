"""Log records: redaction, and the formats text, prefix and JSON."""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

from jarvis_ear.journal.kind import is_name

Value: TypeAlias = str | int | float
"""Type of a field's value."""

IDENTIFIER: Final = "jarvis-ear"

MAX_VALUE: Final = 8000
"""Maximum characters of a field. The whole record has to fit into one datagram of 200 kB."""

PRIORITIES: Final[Mapping[int, int]] = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
"""Priorities of syslog(3), which the journal uses too."""

OURS: Final = ("jarvis_ear", "jarvis_backend")
"""Loggers whose name is not shown: ours, and those of a companion backend."""

_SECRETS: Final = (
    # A JSON Web Token: three parts of base64url, the first a JSON object ("eyJ" is its '{"').
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "[token]"),
    # Recorded speech: the value of "audio" in a message, as JSON or as a Python repr.
    (re.compile(r"""(["']audio["']\s*:\s*)(?:b?"[^"]*"?|b?'[^']*'?)"""), r"\1[audio]"),
    # Base64 under any other name: no word and no path has as many characters without a break.
    (re.compile(r"[A-Za-z0-9+/_-]{256,}={0,2}"), "[data]"),
)
"""Patterns that no line may contain, and their replacements."""

_DIRECTIONS: Final = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Unicode's direction overrides: printable, but they can falsify how a line reads."""


def redacted(text: str) -> str:
    """Replace tokens and audio."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def escaped(text: str) -> str:
    """Escape every character that moves the cursor or breaks the line."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable() and ord(character) not in _DIRECTIONS:
        return character
    return character.encode("unicode_escape").decode()


def message(record: logging.LogRecord) -> str:
    """Return the message on one line, redacted and escaped."""
    try:
        text = record.getMessage()
    except Exception as error:  # noqa: BLE001 - a bad log call is harmless, and its values may be secret
        text = f"a line that cannot be written: {record.msg} ({type(error).__name__})"
    return escaped(redacted(text))


def full_message(record: logging.LogRecord) -> str:
    """Return the message, with the logger's name unless the logger is in ``OURS``."""
    is_ours = record.name.partition(".")[0] in OURS
    return message(record) if is_ours else f"{record.name}: {message(record)}"


def traceback(record: logging.LogRecord) -> list[str]:
    """Return the lines of the traceback, if there is one, redacted and escaped."""
    if not record.exc_info:
        return []
    text = redacted(logging.Formatter().formatException(record.exc_info))
    return [escaped(line) for line in text.splitlines()]


def entry(record: logging.LogRecord) -> dict[str, Value]:
    """Return all fields of a record, as the journal and JSON lines contain them."""
    fields = dict(_of_every_record(record))
    return fields | {name: value for name, value in _extra(record) if name not in fields}


def _of_every_record(record: logging.LogRecord) -> Iterator[tuple[str, Value]]:
    yield "MESSAGE", full_message(record)[:MAX_VALUE]
    yield "PRIORITY", PRIORITIES.get(record.levelno, PRIORITIES[logging.INFO])
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    yield "LOGGER", escaped(record.name)
    yield "THREAD_NAME", escaped(record.threadName or "")
    yield "CODE_FILE", escaped(record.pathname)
    yield "CODE_LINE", record.lineno
    yield "CODE_FUNC", escaped(record.funcName or "")
    if lines := traceback(record):
        yield "EXCEPTION_TEXT", "\n".join(lines)[-MAX_VALUE:]


def _extra(record: logging.LogRecord) -> Iterator[tuple[str, Value]]:
    """Return the fields that a log call passes with ``extra=``, except those that are None."""
    for name, value in vars(record).items():
        if is_name(name) and value is not None:
            yield name, _value(value)


def _value(value: object) -> Value:
    """Keep numbers as they are, and convert everything else to text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return escaped(redacted(str(value)))[:MAX_VALUE]


_COLOURS: Final[Mapping[int, str]] = {
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}
_NO_COLOUR: Final = "\x1b[0m"


class TextFormatter(logging.Formatter):
    """Format for a terminal or a file: the time, and the level unless it is INFO."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Format the line, followed by the traceback if there is one."""
        line = (
            f"{self.formatTime(record, self.datefmt)} {self._level(record)}{full_message(record)}"
        )
        return "\n".join([line, *traceback(record)])

    def _level(self, record: logging.LogRecord) -> str:
        if record.levelno == logging.INFO:
            return ""
        name = f"{record.levelname.lower()}:"
        colour = _COLOURS.get(record.levelno) if self._colour else None
        return f"{name} " if colour is None else f"{colour}{name}{_NO_COLOUR} "


class PrefixFormatter(logging.Formatter):
    """Format for a journal that takes only lines: each starts with its priority, without time."""

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Format the lines."""
        prefix = f"<{PRIORITIES.get(record.levelno, PRIORITIES[logging.INFO])}>"
        lines = [full_message(record), *traceback(record)]
        if self._inner is not None:
            lines = [self._inner.format(record)]
        return "\n".join(prefix + line for line in lines)


class JsonFormatter(logging.Formatter):
    """Format for programs: one JSON object per line, with the same fields as in the journal."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"TIME": at, **entry(record)})
