"""The wake phrase taken off the front of a transcript: it was a call, not a part of the command."""

import re
from typing import Final

CALLS: Final = ("hey", "hi", "hello", "okay", "ok", "hay", "eh", "a", "k", "the", "they", "they'd")
"""What people say before the name, and what small decoders make of "hey"."""

_WAKE_PHRASE: Final = re.compile(
    rf"\W*(?:(?:{'|'.join(CALLS)})\W+)?jarvis(?!['\w])\W*", re.IGNORECASE
)


def without_wake_phrase(transcript: str) -> str:
    """Return ``transcript`` trimmed, without a leading "hey Jarvis", "Jarvis" or the like."""
    found = _WAKE_PHRASE.match(transcript)
    return transcript.strip() if found is None else transcript[found.end() :].strip()
