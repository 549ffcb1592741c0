"""Sessions: streams that were announced over HTTP, and are carried by one WebSocket each."""

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

ID_BYTES: Final = 16
"""As hard to guess as a key: whoever knows it can listen."""


class Mode(StrEnum):
    """What comes back down a session."""

    LOOPBACK = "loopback"
    """What went up, at once."""
    ASSISTANT = "assistant"
    """Answers to what was said."""


class State(StrEnum):
    """Whether a session carries sound."""

    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(slots=True)
class Session:
    """One stream. Lives on the loop."""

    mode: Mode
    session_id: str = field(default_factory=lambda: secrets.token_urlsafe(ID_BYTES))
    state: State = State.CREATED
    taken: bool = False
    """A WebSocket carries it."""
    received_bytes: int = 0
    sent_bytes: int = 0


class Sessions:
    """Sessions by id. Lives on the loop.

    Bound: ``most``. Policy: the oldest that no WebSocket carries is forgotten; if all are carried,
    a new one is refused. Counter: ``refused``.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_id: dict[str, Session] = {}
        self.refused = 0

    def create(self, mode: Mode) -> Session | None:
        """Make one; None if there are too many."""
        if len(self._by_id) >= self._most and not self._forget_one():
            self.refused += 1
            return None
        session = Session(mode)
        self._by_id[session.session_id] = session
        return session

    def find(self, session_id: str) -> Session | None:
        """Return the session of that id, if there is one."""
        return self._by_id.get(session_id)

    def _forget_one(self) -> bool:
        for session_id, session in self._by_id.items():
            if not session.taken:
                del self._by_id[session_id]
                return True
        return False
