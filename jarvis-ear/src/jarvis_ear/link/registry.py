"""Wire registry: the implementation behind each value of ``backend.protocol``.

A wire is imported when its first link is made: an ear with one wire does not load the others, nor
the library that only one of them needs.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from jarvis_ear.config import BackendOptions, WakeWord
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.delivery.transitions import UploadMode
from jarvis_ear.errors import LocalProtocolError
from jarvis_ear.link.connection import BACKEND, HOME_ASSISTANT, BackendLink, Peer
from jarvis_ear.link.login import Admission
from jarvis_ear.link.tls_and_tcp import TrustStore

if TYPE_CHECKING:
    from jarvis_ear.link.wyoming import SatelliteSocket

MakeLink: TypeAlias = Callable[
    [BackendOptions, Timing, Callable[[], None], TrustStore], BackendLink
]

Words: TypeAlias = Callable[[], tuple[WakeWord, ...]]

MakeSatellite: TypeAlias = "Callable[[BackendOptions, Counter[str], Words], SatelliteSocket]"


QUIET_S: Final = 2.0
"""A session server may be a bare echo, which never says that a session has started."""


class Proof(Enum):
    """When a backend must have acknowledged an utterance."""

    SOON = "soon"
    """As soon as the utterance is complete."""
    LATE = "late"
    """With the transcript at the latest: the wire has no other acknowledgement."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What delivery and the dialer need to know about a wire."""

    admission: Admission
    upload_mode: UploadMode
    link: MakeLink
    """Makes a new link; on the network thread."""
    proof: Proof = Proof.SOON
    has_announcements: bool = True
    """Whether speech without a turn has an end, so that it can be an announcement."""
    peer: Peer = BACKEND
    """The server."""
    listen: "MakeSatellite | None" = None
    """Makes the socket on which the server connects to the ear; None: the ear connects."""

    @property
    def growth_ms(self) -> int:
        """Milliseconds of new audio that are worth a message, or only a write to the spool."""
        return 100 if self.upload_mode is UploadMode.STREAMED else 500


def _socketio(
    config: BackendOptions, timing: Timing, wake: Callable[[], None], trust_store: TrustStore
) -> BackendLink:
    from jarvis_ear.link.socketio import SocketIoLink  # noqa: PLC0415 - for this wire only

    return SocketIoLink(config.url.rstrip("/"), config.agent_id, timing, wake, trust_store)


def _voice_ws(
    config: BackendOptions, timing: Timing, wake: Callable[[], None], trust_store: TrustStore
) -> BackendLink:
    from jarvis_ear.link.websocket import WebSocketLink  # noqa: PLC0415 - likewise
    from jarvis_ear.wires.voice_ws import (  # noqa: PLC0415 - for this wire only
        VoiceWsDialect,
        VoiceWsHandshake,
    )

    handshake = VoiceWsHandshake(config.url.rstrip("/"), config.path)
    return WebSocketLink(handshake, VoiceWsDialect(), timing, wake, trust_store)


def _session(
    config: BackendOptions, timing: Timing, wake: Callable[[], None], trust_store: TrustStore
) -> BackendLink:
    from jarvis_ear.link.websocket import WebSocketLink  # noqa: PLC0415 - likewise
    from jarvis_ear.wires.session import (  # noqa: PLC0415 - for this wire only
        SessionDialect,
        SessionHandshake,
    )

    handshake = SessionHandshake(config.url.rstrip("/"))
    quiet_s = min(QUIET_S, timing.connect_s / 2)
    dialect = SessionDialect()
    return WebSocketLink(handshake, dialect, timing, wake, trust_store, assumed_after_s=quiet_s)


def _realtime(
    config: BackendOptions, timing: Timing, wake: Callable[[], None], trust_store: TrustStore
) -> BackendLink:
    from jarvis_ear.link.websocket import WebSocketLink  # noqa: PLC0415 - likewise
    from jarvis_ear.wires.realtime import (  # noqa: PLC0415 - for this wire only
        RealtimeDialect,
        RealtimeHandshake,
    )

    handshake = RealtimeHandshake(config.url.rstrip("/"), config.path)
    return WebSocketLink(handshake, RealtimeDialect(), timing, wake, trust_store)


def _listens(*_: object) -> BackendLink:
    raise LocalProtocolError("the server connects to the ear on this wire")


def _satellite(config: BackendOptions, counted: Counter[str], words: Words) -> "SatelliteSocket":
    from jarvis_ear.link.wyoming import SatelliteSocket  # noqa: PLC0415 - for this wire only

    return SatelliteSocket(config.wyoming, config.agent_id, counted, words)


WIRES: Final[Mapping[str, Wire]] = {
    "socketio": Wire(Admission.BY_LOGIN, UploadMode.WHOLE, _socketio),
    "voice-ws": Wire(Admission.UNASKED, UploadMode.STREAMED, _voice_ws),
    "session": Wire(
        Admission.UNASKED, UploadMode.STREAMED, _session, Proof.LATE, has_announcements=False
    ),
    "realtime": Wire(Admission.BY_LOGIN, UploadMode.STREAMED, _realtime),
}
"""Wires on which the ear connects to its backend, by the value of ``backend.protocol``."""

SATELLITE: Final = Wire(
    Admission.UNASKED,
    UploadMode.BINARY,
    _listens,
    Proof.LATE,
    peer=HOME_ASSISTANT,
    listen=_satellite,
)
"""The wire on which Home Assistant connects to the ear."""


def wire_of(protocol: str) -> Wire:
    """Return the wire of a value of ``backend.protocol``."""
    return SATELLITE if protocol == "wyoming" else WIRES[protocol]
