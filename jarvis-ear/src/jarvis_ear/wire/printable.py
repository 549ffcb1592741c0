"""What others wrote, made fit for a line of a log."""

import re
from typing import Final

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)  # control characters, line separators, text-direction overrides, halves of letters


def printable(text: str) -> str:
    """``text`` on one line: what could move a terminal or a log line becomes a space."""
    return _UNPRINTABLE.sub(" ", text)
