"""Patience: how long delivery waits for what, in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Every deadline of a turn. The network only ever gets so long."""

    fresh_s: float = 30.0
    """Age from which an utterance is not run any more: the person has repeated it by then."""
    start_ack_s: float = 3.0
    """From ``audio_start`` to ``listening``."""
    flush_s: float = 3.0
    """To hand ``FLUSH_WINDOW_BYTES`` of sound to the socket."""
    processing_s: float = 4.0
    """From ``audio_end`` to ``processing``."""
    reply_s: float = 60.0
    """Longest silence of the backend inside a turn."""
    whole_reply_s: float = 180.0
    """From ``processing`` to the end of the reply, however talkative the backend is."""
    retry_least_s: float = 0.5
    """Least wait before a second attempt, after the backend refused the first."""
    retry_most_s: float = 2.0
    """Longest wait before it."""
    gap_s: float = 15.0
    """How long later sentences wait for one that is missing, while nothing of the reply comes."""


FLUSH_WINDOW_BYTES = 192 * 1024
"""Six seconds of speech. A link that moves less than this in ``flush_s`` is as good as dead."""
