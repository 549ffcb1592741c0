"""What every wire has to stand, from the side of the backend and from that of the ear."""

from typing import Final

CASES: Final = (
    "connect",
    "refuse",
    "round_trip",
    "interruption",
    "abrupt_close",
    "half_utterance",
    "oversize",
    "garbage",
    "slow_reader",
    "reconnect",
)
"""Names of the cases. For each, the suite has a test of this name with ``test_`` before it."""
