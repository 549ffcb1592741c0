"""Wires: what each value of ``backend.protocol`` stands for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from jarvis_ear.config import Backend
from jarvis_ear.delivery.carriage import Carriage
from jarvis_ear.transports.dialer import Admittance
from jarvis_ear.transports.link import Link
from jarvis_ear.transports.realtime_door import RealtimeDoor
from jarvis_ear.transports.session_door import SessionDoor
from jarvis_ear.transports.socketio_link import SocketIoLink
from jarvis_ear.transports.timing import Timing
from jarvis_ear.transports.trust import Trust
from jarvis_ear.transports.voice_ws_door import VoiceWsDoor
from jarvis_ear.transports.websocket_link import WebSocketLink
from jarvis_ear.wire.realtime_dialect import RealtimeDialect
from jarvis_ear.wire.session_dialect import SessionDialect
from jarvis_ear.wire.voice_ws_dialect import VoiceWsDialect

MakeLink: TypeAlias = Callable[[Backend, Timing, Callable[[], None], Trust], Link]


QUIET_S: Final = 2.0
"""A server of sessions may be a bare echo, which never says that a session runs."""


class Proof(Enum):
    """When a backend of a wire has to have said that it has an utterance."""

    SOON = "soon"
    """As soon as it is complete."""
    LATE = "late"
    """With the transcript, unless it is kind: the wire has no other word for it."""


@dataclass(frozen=True, slots=True)
class Wire:
    """In what the wires differ, as far as delivery and the dialer are concerned."""

    admittance: Admittance
    carriage: Carriage
    link: MakeLink
    """Makes a fresh link; on the network thread."""
    proof: Proof = Proof.SOON

    @property
    def growth_ms(self) -> int:
        """How much more of an utterance is worth a message, or only a write to the spool."""
        return 500 if self.carriage is Carriage.WHOLE else 100


def _socketio(config: Backend, timing: Timing, wake: Callable[[], None], trust: Trust) -> Link:
    return SocketIoLink(config.url.rstrip("/"), config.agent_id, timing, wake, trust)


def _voice_ws(config: Backend, timing: Timing, wake: Callable[[], None], trust: Trust) -> Link:
    door = VoiceWsDoor(config.url.rstrip("/"), config.path)
    return WebSocketLink(door, VoiceWsDialect(config.agent_id), timing, wake, trust)


def _session(config: Backend, timing: Timing, wake: Callable[[], None], trust: Trust) -> Link:
    door = SessionDoor(config.url.rstrip("/"))
    quiet_s = min(QUIET_S, timing.connect_s / 2)
    dialect = SessionDialect(config.agent_id)
    return WebSocketLink(door, dialect, timing, wake, trust, assumed_after_s=quiet_s)


def _realtime(config: Backend, timing: Timing, wake: Callable[[], None], trust: Trust) -> Link:
    door = RealtimeDoor(config.url.rstrip("/"), config.path)
    return WebSocketLink(door, RealtimeDialect(config.agent_id), timing, wake, trust)


WIRES: Final[Mapping[str, Wire]] = {
    "socketio": Wire(Admittance.BY_LOGIN, Carriage.WHOLE, _socketio),
    "voice-ws": Wire(Admittance.UNASKED, Carriage.STREAMED, _voice_ws),
    "session": Wire(Admittance.UNASKED, Carriage.STREAMED, _session, Proof.LATE),
    "realtime": Wire(Admittance.BY_LOGIN, Carriage.STREAMED, _realtime),
}
"""By the name that the option has for it."""
