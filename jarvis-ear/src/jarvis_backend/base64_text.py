"""Base64 as satellites write it: with line breaks, in the URL alphabet, without padding."""

import base64
import binascii
import re
from typing import Final

_FOREIGN: Final = re.compile(rb"[^A-Za-z0-9+/]")

_GROUP: Final = 4
"""Letters that make three bytes."""


def lenient_base64(text: str) -> bytes:
    """Decode what can be decoded, like Node does: other letters are passed over, `=` ends it."""
    letters = text.encode("ascii", errors="ignore")
    try:
        return base64.b64decode(letters, validate=True)
    except binascii.Error:
        return _salvage(letters)


def _salvage(letters: bytes) -> bytes:
    head = letters.partition(b"=")[0].replace(b"-", b"+").replace(b"_", b"/")
    known = _FOREIGN.sub(b"", head)
    if len(known) % _GROUP == 1:
        known = known[:-1]  # six bits are no byte
    return base64.b64decode(known + b"=" * (-len(known) % _GROUP))
