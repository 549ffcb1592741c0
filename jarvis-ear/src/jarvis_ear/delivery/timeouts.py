"""Timeouts: every deadline of delivery and of the network, in seconds."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of a turn, in seconds."""

    fresh_s: float = 30.0
    """Age from which an utterance is no longer run: the person has repeated it by then."""
    start_ack_s: float = 3.0
    """From ``audio_start`` to ``listening``."""
    flush_s: float = 3.0
    """To hand ``FLUSH_WINDOW_BYTES`` of sound to the socket."""
    processing_s: float = 4.0
    """From ``audio_end`` to ``processing``."""
    reply_s: float = 60.0
    """Longest silence of the backend inside a turn."""
    whole_reply_s: float = 180.0
    """From ``processing`` to the end of the reply, regardless of its length."""
    retry_least_s: float = 0.5
    """Minimum delay before a retry, after the backend refused the first attempt."""
    retry_most_s: float = 2.0
    """Maximum delay before it."""
    gap_s: float = 15.0
    """How long later chunks wait for a missing one, while nothing of the reply comes."""


FLUSH_WINDOW_BYTES = 192 * 1024
"""Six seconds of speech. A link that moves less than this in ``flush_s`` counts as dead."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Deadlines of the network, in seconds."""

    login_s: float = 5.0
    """A login, from resolving the host to the last byte of the response."""
    connect_s: float = 5.0
    """A connection, from resolving the host to the response of the namespace."""
    ping_s: float = 5.0
    """Interval between two pings."""
    dead_s: float = 12.0
    """Silence after which the link to a backend that answers pings is dead."""
    close_s: float = 1.0
    """To close a connection after a reset: twice this is the worst case."""
    stop_s: float = 2.0
    """From a stop to the end of the network thread."""
    turn: Timeouts = field(default_factory=Timeouts)
    """Deadlines of a turn."""
