"""The event bus ``/ws``: messages, signatures and their codec."""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, assert_never

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires.json_fields import read_object, write_object

PATH: Final = "/ws"

MICROPHONE: Final = "audio"
"""The module for the microphone of an ear."""

MODULES: Final = ("vision", MICROPHONE, "tactile", "action")
"""Modules that can be switched."""

STATUS_CHANGED: Final = "module_status_changed"

STOP: Final = "ear_stop"
"""The type of the event by which a member stops what an ear speaks or hears."""

WINDOW_S: Final = 30.0
"""Maximum seconds between the clocks of sender and receiver, transit included."""

LISTEN: Final = "ear_listen"
"""The type of the event by which a member has an ear listen without the wake word."""

CLAIM: Final = "ear_claim"
"""The type of the event by which an ear tells the others that it heard the wake word."""

REQUESTS: Final = (STOP, LISTEN)
"""The types of the events that are requests to an ear."""

_SIGNATURE: Final = "signature"

_OWN: Final = frozenset({"type", "data", "timestamp"})
"""The fields that every event has."""


@dataclass(frozen=True, slots=True)
class BusPing:
    """Client: a ping."""


@dataclass(frozen=True, slots=True)
class BusPong:
    """Any peer: the answer to a ping."""

    now_s: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class ModuleControl:
    """Client: switch a module."""

    module: str
    """One of ``MODULES``."""
    enabled: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Any peer: something has happened. Sent to all peers."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    timestamp: str = ""
    """ISO 8601, from the sender; empty if it sent none."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """The other fields of the message, as the sender wrote them."""


Message: TypeAlias = BusPing | ModuleControl | Event


class NotJson(RemoteProtocolError):
    """The frame is not a JSON object."""


def read(text: str) -> dict[str, Any]:
    """Return the JSON object of a frame, or raise NotJson."""
    try:
        return read_object(text)
    except RemoteProtocolError as error:
        raise NotJson(str(error)) from None


def decode(payload: Mapping[str, Any]) -> Message:
    """Return the message for ``payload``."""
    match payload:
        case {"type": "ping"}:
            return BusPing()
        case {"type": "module_control", "module": str(module), "enabled": bool(enabled)}:
            if module not in MODULES:
                raise RemoteProtocolError(f"unknown module; expected one of {', '.join(MODULES)}")
            return ModuleControl(module, enabled)
        case {"type": "module_control"}:
            raise RemoteProtocolError("module_control without module and enabled")
        case {"type": str(kind)} if kind:
            data, timestamp = payload.get("data", {}), payload.get("timestamp")
            if not isinstance(data, dict):
                raise RemoteProtocolError(f"data is {type(data).__name__}; expected an object")
            more = {name: value for name, value in payload.items() if name not in _OWN}
            return Event(kind, data, timestamp if isinstance(timestamp, str) else "", more)
    raise RemoteProtocolError("a message without a type; expected text")


def encode(message: Event | ModuleControl) -> dict[str, Any]:
    """Return the JSON object for ``message``."""
    match message:
        case ModuleControl(module, enabled):
            return {"type": "module_control", "module": module, "enabled": enabled}
        case Event(kind, data, timestamp, more):
            return {"type": kind, "data": dict(data), "timestamp": timestamp, **more}
        case _:
            assert_never(message)


def status_changed(module: str, *, enabled: bool, now_s: float) -> Event:
    """Return the event for a changed module."""
    return Event(STATUS_CHANGED, {"module": module, "enabled": enabled}, stamp(now_s))


def module_status(event: Event) -> tuple[str, bool] | None:
    """Return module and state, if ``event`` reports them."""
    match event:
        case Event(type="module_status_changed", data={"module": str(m), "enabled": bool(e)}):
            return (m, e) if m in MODULES else None
    return None


def module_switched(event: Event) -> tuple[str, bool] | None:
    """Return module and state, if ``event`` reports them for all ears.

    An event that names an ear reports that ear's own microphone only.
    """
    return None if "agentId" in event.data else module_status(event)


def announced(agent_id: str, *, enabled: bool, by: Sequence[str], now_s: float) -> Event:
    """Return the event by which an ear reports its microphone, and who muted it."""
    data = {"module": MICROPHONE, "enabled": enabled, "agentId": agent_id, "mutedBy": list(by)}
    return Event(STATUS_CHANGED, data, stamp(now_s))


def microphone_order(message: Message) -> bool | None:
    """Return the microphone state that ``message`` orders all ears to take, or None.

    A bus reports a switched module in the same form in which an ear reports its own. An event that
    names an ear is such a report: no ear obeys it.
    """
    match message:
        case ModuleControl(module="audio", enabled=enabled):
            return enabled
        case Event():
            module, enabled = module_switched(message) or ("", False)
            return enabled if module == MICROPHONE else None
    return None


def request_of(message: Message, agent_id: str) -> str:
    """Return what ``message`` requests of the ear ``agent_id``: one of ``REQUESTS``, or nothing.

    A request is for the ear that ``agentId`` in its data names, or without it for all ears.
    """
    match message:
        case Event(kind, data) if kind in REQUESTS and data.get("agentId", agent_id) == agent_id:
            return kind
    return ""


def ping() -> dict[str, Any]:
    """Return the ping message."""
    return {"type": "ping"}


def pong(now_s: float) -> dict[str, Any]:
    """Return the answer to a ping."""
    return {"type": "pong", "timestamp": stamp(now_s)}


def stamp(now_s: float) -> str:
    """Return seconds since 1970 as ISO 8601."""
    return datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds")


def sign(payload: Mapping[str, Any], key: bytes, now_s: float) -> dict[str, Any]:
    """Return ``payload`` with its time of sending, and a signature over both."""
    stamped = {**_unsigned(payload), "sentAt": stamp(now_s)}
    return {**stamped, _SIGNATURE: _signature(stamped, key)}


def check(payload: Mapping[str, Any], key: bytes, now_s: float) -> str:
    """Return the signature of ``payload`` if it is valid and fresh."""
    signature = payload.get(_SIGNATURE)
    if not isinstance(signature, str):
        raise RemoteProtocolError("Unsigned message; expected a signature")
    expected = _signature(_unsigned(payload), key)
    if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
        raise RemoteProtocolError("Invalid signature")
    if abs(_seconds(payload.get("sentAt")) - now_s) > WINDOW_S:
        raise RemoteProtocolError(f"Stale message; expected one of the last {WINDOW_S:g} s")
    return expected


def _unsigned(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != _SIGNATURE}


def _signature(payload: Mapping[str, Any], key: bytes) -> str:
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, canonical.encode(), "sha256").hexdigest()


def _seconds(timestamp: object) -> float:
    try:
        when = datetime.fromisoformat(timestamp)  # type: ignore[arg-type]  # TypeError is expected
        return when.timestamp() if when.tzinfo is not None else float("-inf")
    except (TypeError, ValueError, OverflowError):
        return float("-inf")


MAX_SEEN: Final = 10_000
"""Signatures that are remembered; more within a minute mean an attack on the bus."""


class MessageSigner:
    """Signs outgoing messages and checks incoming ones, each once. Owned by one loop.

    Bound: ``MAX_SEEN`` signatures. Policy: one more is refused until the oldest is stale.
    """

    def __init__(self, key: bytes | None, now: Callable[[], float]) -> None:
        """Use ``key``, or None for no signatures; ``now`` is a wall clock."""
        self._key = key
        self._now = now
        self._seen: dict[str, float] = {}

    def write(self, payload: Mapping[str, Any]) -> str:
        """Return the frame for ``payload``."""
        signed = payload if self._key is None else sign(payload, self._key, self._now())
        return write_object(signed)

    def check(self, payload: Mapping[str, Any]) -> None:
        """Return if ``payload`` is authentic and new, else raise RemoteProtocolError."""
        if self._key is None:
            return
        now = self._now()
        signature = check(payload, self._key, now)
        stale = now - 2 * WINDOW_S  # a sender's clock may be one window ahead
        while self._seen and (oldest := next(iter(self._seen))) and self._seen[oldest] < stale:
            del self._seen[oldest]
        if signature in self._seen or len(self._seen) >= MAX_SEEN:
            raise RemoteProtocolError("Repeated message; expected each one once")
        self._seen[signature] = now
