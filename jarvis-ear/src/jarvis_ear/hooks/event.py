"""Hook event: what a program or a URL gets about the ear, and the queue of such events."""

import json
from collections import deque
from dataclasses import asdict, dataclass
from typing import Final

from jarvis_ear.link.mailbox import Mailbox
from jarvis_ear.wires.event_bus import stamp

SCHEMA_VERSION: Final = 1
"""Value of ``schema``. Keys may be added; a new number means that one has another meaning."""

OCCURRENCES: Final = ("wake", "failed")
"""The events that are not states."""

MAX_WAITING: Final = 16
"""Occurrences that wait for a receiver: more than the turns of any minute."""


@dataclass(frozen=True, slots=True)
class HookEvent:
    """One event for the hooks. It holds no words and no sound."""

    name: str
    """One of ``config.HOOKS``."""
    at_s: float
    """Seconds since 1970."""
    agent_id: str
    turn_id: str = ""
    state: str = ""
    """The state of the ear, which is the new one if the event is a state."""
    previous: str = ""
    """The state before; empty for an occurrence, and at the start."""
    reason: str = ""
    """The cause in English."""
    verdict: str = ""
    """Verdict of a failed turn."""
    code: str = ""
    """Code of its cause."""

    @property
    def is_state(self) -> bool:
        """Whether the event says how the ear is, and not what happened."""
        return self.name not in OCCURRENCES

    def body(self) -> bytes:
        """Return the JSON object, in ASCII, with all keys."""
        fields = asdict(self)
        event, at = fields.pop("name"), stamp(fields.pop("at_s"))
        return json.dumps({"schema": SCHEMA_VERSION, "event": event, "at": at, **fields}).encode()


class HookQueue(Mailbox[HookEvent]):
    """Mailbox of one receiver: the newest state, and up to ``MAX_WAITING`` occurrences, in order.

    A newer state replaces one that waits (``replaced``), so that a slow receiver ends in the right
    state. The oldest occurrence is dropped when there are too many (``dropped``).
    """

    def __init__(self) -> None:
        super().__init__(MAX_WAITING)
        self.replaced = 0
        """States that were not delivered, because a newer one came first."""

    def _trim(self) -> None:
        states = [place for place, each in enumerate(self._items) if each.is_state]
        others = [place for place, each in enumerate(self._items) if not each.is_state]
        older, surplus = states[:-1], others[:-MAX_WAITING]
        self.replaced += len(older)
        self.dropped += len(surplus)
        gone = {*older, *surplus}
        self._items = deque(each for place, each in enumerate(self._items) if place not in gone)
