"""Voice sessions: each is created over HTTP and carried by one WebSocket."""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from jarvis_backend.message_queue import Message, MessageQueue

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""Ids that a program of this machine may choose for a session."""

ID_BYTES: Final = 16
"""Entropy of an id, which must not be guessed: its owner can listen."""

KEEP_S: Final = 3600.0
"""Seconds after its last change that other processes know a session."""

CARRIER_S: Final = 15.0
"""Seconds for which a process that died keeps others from carrying its session."""

_CHANNEL: Final = "sessions"


class Mode(StrEnum):
    """What a session sends."""

    LOOPBACK = "loopback"
    """The sound that it receives."""
    ASSISTANT = "assistant"
    """Replies to utterances."""


class SessionState(StrEnum):
    """Whether a session carries sound."""

    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(slots=True)
class VoiceSession:
    """One stream. Lives on the loop."""

    mode: Mode
    session_id: str = field(default_factory=lambda: secrets.token_urlsafe(ID_BYTES))
    state: SessionState = SessionState.CREATED
    taken: bool = False
    """Whether a WebSocket carries it."""
    announced: bool = True
    """Whether it was created over HTTP; if not, a program of this machine has chosen its id."""
    received_bytes: int = 0
    sent_bytes: int = 0


class Sessions:
    """Sessions by id. Lives on the loop.

    Bound: ``max_sessions`` in this process. Policy: the oldest that no WebSocket carries is
    forgotten; if all are carried, a new one is refused. Counter: ``refused``. The queue shares
    sessions between processes; the state in the process that carries a session takes precedence.
    """

    def __init__(self, max_sessions: int, queue: MessageQueue) -> None:
        self._max_sessions = max_sessions
        self._queue = queue
        self._by_id: dict[str, VoiceSession] = {}
        self._on_change: Callable[[VoiceSession], None] = lambda _session: None
        self.refused = 0
        queue.subscribe(_CHANNEL, self._on_message)

    def when_changed(self, call: Callable[[VoiceSession], None]) -> None:
        """Call ``call`` with a session carried here when any process starts or stops it."""
        self._on_change = call

    async def create(self, session: VoiceSession) -> bool:
        """Add a new session; False if there are too many."""
        if not self._add(session):
            self.refused += 1
            return False
        await self.save(session)
        return True

    async def find(self, session_id: str) -> VoiceSession | None:
        """Return the session of that id, of any process."""
        known = self._by_id.get(session_id)
        if known is not None and known.taken:
            return known
        stored = _read(await self._queue.fetch(_key(session_id)))
        if stored is not None and self._add(stored):
            return stored
        return known

    async def claim(self, session: VoiceSession) -> bool:
        """Carry ``session`` in this process; False if another connection carries it."""
        if session.taken or not await self._queue.claim(_claim(session), CARRIER_S):
            return False
        session.taken = True
        if not session.announced:  # the same id starts a new session
            session.mode, session.state = Mode.LOOPBACK, SessionState.CREATED
            session.received_bytes = session.sent_bytes = 0
        return True

    async def release(self, session: VoiceSession) -> None:
        """Stop carrying it."""
        session.taken = False
        await self.save(session)
        await self._queue.delete(_claim(session))

    async def save(self, session: VoiceSession) -> None:
        """Share its state with other processes; to be called repeatedly while it is carried."""
        await self._queue.store(_key(session.session_id), json.dumps(asdict(session)), KEEP_S)
        if session.taken:
            await self._queue.store(_claim(session), self._queue.process_id, CARRIER_S)

    async def enter(self, session: VoiceSession, state: SessionState) -> None:
        """Start or stop it, in the process that carries it."""
        session.state = state
        await self.save(session)
        if session.taken:
            self._on_change(session)
        message = {"id": session.session_id, "state": state, "from": self._queue.process_id}
        await self._queue.publish(_CHANNEL, message)

    def _on_message(self, message: Message) -> None:
        match message:
            case {"id": str(session_id), "state": "running" | "stopped" as state, "from": sender}:
                session = self._by_id.get(session_id)
                if session is not None and session.taken and sender != self._queue.process_id:
                    session.state = SessionState(state)
                    self._on_change(session)

    def _add(self, session: VoiceSession) -> bool:
        if session.session_id not in self._by_id and len(self._by_id) >= self._max_sessions:
            oldest = next((each for each in self._by_id.values() if not each.taken), None)
            if oldest is None:
                return False
            del self._by_id[oldest.session_id]
        self._by_id[session.session_id] = session
        return True


def _key(session_id: str) -> str:
    return f"session:{session_id}"


def _claim(session: VoiceSession) -> str:
    return f"carrier:{session.session_id}"


def _read(text: str | None) -> VoiceSession | None:
    """Return the session that a process has saved."""
    if text is None:
        return None
    fields: dict[str, Any] = json.loads(text)
    typed = {"mode": Mode(fields["mode"]), "state": SessionState(fields["state"]), "taken": False}
    return VoiceSession(**{**fields, **typed})
