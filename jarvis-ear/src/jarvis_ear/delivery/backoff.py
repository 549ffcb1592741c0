"""How long to wait before the next attempt to reach the backend."""

from enum import Enum
from typing import Final

STABLE_S: Final = 30.0
"""A link that held so long ends the series of failures; a shorter one continues it."""


class Setback(Enum):
    """Why an attempt failed, as far as the wait after it is concerned."""

    UNREACHABLE = "unreachable"
    """Nothing there, or no answer in time: it may be back any moment, and asking costs little."""
    FOREIGN = "foreign"
    """An answer that no backend of ours gives: perhaps somebody else lives there now."""
    REJECTED = "rejected"
    """Our password is wrong: asking again does not make it right."""


_FLOOR_S: Final = 0.5
"""No attempt sooner than this after a failed one."""

_UNREACHABLE_CAP_S: Final = 2.5
"""With a login and a handshake that take 3 s, a backend is reached within 6 s of being there.

An attempt against a closed port is one packet, and no password leaves the machine: a longer wait
would save nothing, and cost the person the answer.
"""

_FOREIGN_CAP_S: Final = 30.0
"""Each attempt shows the password to whoever answers there."""

_REJECTED_FLOOR_S: Final = 30.0
"""At most two logins a minute with a password that was refused."""

_REJECTED_CAP_S: Final = 60.0

_DOUBLINGS: Final = 8  # beyond this, every cap is reached; and 2.0 ** attempt stays a number


def delay_s(setback: Setback, attempt: int, rand: float) -> float:
    """Seconds to wait after the ``attempt``-th failure in a row (from 1), ``rand`` in 0…1.

    Full jitter: ears that lost their backend in the same second do not come back in one.
    """
    if setback is Setback.REJECTED:
        return _REJECTED_FLOOR_S + rand * (_REJECTED_CAP_S - _REJECTED_FLOOR_S)
    cap_s = _UNREACHABLE_CAP_S if setback is Setback.UNREACHABLE else _FOREIGN_CAP_S
    ceiling_s = min(cap_s, _FLOOR_S * 2.0 ** min(attempt, _DOUBLINGS))
    return _FLOOR_S + rand * (ceiling_s - _FLOOR_S)
