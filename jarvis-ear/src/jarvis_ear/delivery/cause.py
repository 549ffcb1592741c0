"""Cause: why a turn did not end well, as a word that a program can act on."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Cause(StrEnum):
    """The codes of ``Finished``. They are part of the contract: add, never rename."""

    NONE = ""
    """All went well."""
    TOO_OLD = "too_old"
    """It waited for the link until nobody wanted it any more."""
    OUTBOX_FULL = "outbox_full"
    """Newer utterances needed its place."""
    TOO_LARGE = "too_large"
    """Its frame would exceed what the backend takes."""
    BAD_AUDIO = "bad_audio"
    """Empty, or not a whole number of samples."""
    LINK_LOST = "link_lost"
    """The link died at a moment after which it must not be sent again."""
    NO_PROCESSING = "no_processing"
    """The backend did not say that it works on it."""
    NO_REPLY = "no_reply"
    """The backend took it and fell silent, or did not come to an end."""
    REPLY_TOO_BIG = "reply_too_big"
    """More reply than anybody listens to."""
    INTERRUPTED = "interrupted"
    """The person said something newer."""
    TORN = "torn"
    """The ear was killed in mid-sentence: the end of it was never heard."""
    STORAGE_FAILED = "storage_failed"
    """It could not be written down that it may run, so it was not run."""
    KILLED = "killed"
    """The ear was killed at a moment after which it must not be sent again."""
    STOPPING = "stopping"
    """The ear is being stopped."""
    NO_AUDIO = "no_audio"
    """The backend says that no sound reached it."""
    NOT_UNDERSTOOD = "not_understood"
    """The backend heard no words."""
    STT_UNAVAILABLE = "stt_unavailable"
    """The backend's speech recogniser is down. It may stay so for a minute."""
    STT_FAILED = "stt_failed"
    """The backend's speech recogniser failed on this utterance."""
    BACKEND_TIMEOUT = "backend_timeout"
    """Something behind the backend took too long."""
    BACKEND_ERROR = "backend_error"
    """Any other failure of the backend."""


_PHRASES: Final[Mapping[str, Cause]] = {
    "no audio received": Cause.NO_AUDIO,
    "could not understand": Cause.NOT_UNDERSTOOD,
    "stt service not available": Cause.STT_UNAVAILABLE,
    "fetch failed": Cause.STT_UNAVAILABLE,
    "transcription failed": Cause.STT_FAILED,
    "aborted due to timeout": Cause.BACKEND_TIMEOUT,
}
"""What the backend's free texts contain, in the order in which they are looked for."""


def cause_of(error_text: str) -> Cause:
    """Return the code for the backend's own words, which are never passed on."""
    said = error_text.lower()
    return next(
        (cause for phrase, cause in _PHRASES.items() if phrase in said), Cause.BACKEND_ERROR
    )
