"""Timing: every deadline of the network, in one place."""

from dataclasses import dataclass, field

from jarvis_ear.delivery.patience import Patience


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the network may take for what, in seconds."""

    login_s: float = 5.0
    """A login, from the name of the host to the last byte of the answer."""
    connect_s: float = 5.0
    """A connection, from the name of the host to the answer of the namespace."""
    ping_s: float = 5.0
    """Between two questions whether the backend is there."""
    dead_s: float = 12.0
    """Without a word for so long, the link to a backend that answers pings is dead."""
    close_s: float = 1.0
    """For the remains of a connection that has been reset: twice this is the worst case."""
    stop_s: float = 2.0
    """For the network thread, once it has been told to stop."""
    patience: Patience = field(default_factory=Patience)
    """What a turn waits for."""
