"""The wake phrase taken off the front of a transcript: it was a call, not a part of the command."""

import re
from typing import Final

_WAKE_PHRASE: Final = re.compile(r"\W*(?:(?:hey|hi|hello|okay|ok)\W+)?jarvis\b\W*", re.IGNORECASE)


def without_wake_phrase(transcript: str) -> str:
    """Return ``transcript`` trimmed, without a leading "hey Jarvis", "Jarvis" or the like."""
    found = _WAKE_PHRASE.match(transcript)
    return transcript.strip() if found is None else transcript[found.end() :].strip()
