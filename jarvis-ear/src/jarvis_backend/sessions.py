"""Sessions: streams that were announced over HTTP, and are carried by one WebSocket each."""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from jarvis_backend.message_queue import Message, MessageQueue

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""What a program of this machine may call a session of its own."""

ID_BYTES: Final = 16
"""As hard to guess as a key: whoever knows it can listen."""

KEEP_S: Final = 3600.0
"""How long other processes know a session after it was last heard of."""

CARRIER_S: Final = 15.0
"""How long a process that carries a session, and has died, keeps others from carrying it."""

_CHANNEL: Final = "sessions"


class Mode(StrEnum):
    """What comes back down a session."""

    LOOPBACK = "loopback"
    """What went up, at once."""
    ASSISTANT = "assistant"
    """Answers to what was said."""


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
    """A WebSocket carries it."""
    announced: bool = True
    """It was made over HTTP; False: a program of this machine has named it by carrying it."""
    received_bytes: int = 0
    sent_bytes: int = 0


class Sessions:
    """Sessions by id. Lives on the loop.

    Bound: ``most`` in this process. Policy: the oldest that no WebSocket carries is forgotten; if
    all are carried, a new one is refused. Counter: ``refused``. Through the queue every process
    knows the sessions of the others; the one that carries a session knows best.
    """

    def __init__(self, most: int, queue: MessageQueue) -> None:
        self._most = most
        self._queue = queue
        self._by_id: dict[str, VoiceSession] = {}
        self._on_change: Callable[[VoiceSession], None] = lambda _session: None
        self.refused = 0
        queue.subscribe(_CHANNEL, self._hear)

    def when_changed_elsewhere(self, call: Callable[[VoiceSession], None]) -> None:
        """Call ``call`` with a session carried here that another process has started or stopped."""
        self._on_change = call

    async def create(self, mode: Mode) -> VoiceSession | None:
        """Make one; None if there are too many."""
        return await self._add(VoiceSession(mode))

    async def adopt(self, session_id: str) -> VoiceSession | None:
        """Make one of that name, which nobody has announced; None if there are too many."""
        return await self._add(VoiceSession(Mode.LOOPBACK, session_id, announced=False))

    async def find(self, session_id: str) -> VoiceSession | None:
        """Return the session of that id, if there is one anywhere."""
        known = self._by_id.get(session_id)
        if known is not None and known.taken:
            return known
        fields = _read(await self._queue.fetch(_key(session_id)))
        if fields is not None and self._keep(fields):
            return fields
        return known

    async def take(self, session: VoiceSession) -> bool:
        """Carry ``session`` from now on; False if another connection does."""
        if session.taken or not await self._queue.claim(_claim(session), CARRIER_S):
            return False
        session.taken = True
        if not session.announced:  # whoever names it again wants it anew
            session.mode, session.state = Mode.LOOPBACK, SessionState.CREATED
            session.received_bytes = session.sent_bytes = 0
        return True

    async def release(self, session: VoiceSession) -> None:
        """Carry it no longer."""
        session.taken = False
        await self.save(session)
        await self._queue.forget(_claim(session))

    async def save(self, session: VoiceSession) -> None:
        """Have the others know how it is; to be called again and again while it is carried."""
        await self._queue.store(_key(session.session_id), _write(session), KEEP_S)
        if session.taken:
            await self._queue.store(_claim(session), self._queue.process_id, CARRIER_S)

    async def enter(self, session: VoiceSession, state: SessionState) -> None:
        """Start or stop it, wherever it is carried."""
        session.state = state
        await self.save(session)
        order = {"id": session.session_id, "state": state, "from": self._queue.process_id}
        await self._queue.publish(_CHANNEL, order)

    def _hear(self, order: Message) -> None:
        match order:
            case {"id": str(session_id), "state": "running" | "stopped" as state, "from": sender}:
                session = self._by_id.get(session_id)
                if session is not None and session.taken and sender != self._queue.process_id:
                    session.state = SessionState(state)
                    self._on_change(session)

    async def _add(self, session: VoiceSession) -> VoiceSession | None:
        if not self._keep(session):
            self.refused += 1
            return None
        await self.save(session)
        return session

    def _keep(self, session: VoiceSession) -> bool:
        is_full = session.session_id not in self._by_id and len(self._by_id) >= self._most
        if is_full and not self._forget_one():
            return False
        self._by_id[session.session_id] = session
        return True

    def _forget_one(self) -> bool:
        for session_id, session in self._by_id.items():
            if not session.taken:
                del self._by_id[session_id]
                return True
        return False


def _key(session_id: str) -> str:
    return f"session:{session_id}"


def _claim(session: VoiceSession) -> str:
    return f"carrier:{session.session_id}"


def _write(session: VoiceSession) -> str:
    return json.dumps(asdict(session))


def _read(text: str | None) -> VoiceSession | None:
    """Return a session that another process has saved."""
    if text is None:
        return None
    fields: dict[str, Any] = json.loads(text)
    typed = {"mode": Mode(fields["mode"]), "state": SessionState(fields["state"]), "taken": False}
    return VoiceSession(**{**fields, **typed})
