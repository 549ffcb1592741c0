"""Entities: the ear's topics at a broker, its commands, and its discovery by Home Assistant."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jarvis_ear import __version__
from jarvis_ear.config import MqttOptions
from jarvis_ear.control.commands import MAX_TEXT
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.hearing.events import State
from jarvis_ear.turn_trace.turn_counts import OUTCOMES
from jarvis_ear.wires.messages import LOUDEST

ONLINE: Final = "online"
OFFLINE: Final = "offline"
"""Payloads of the topic ``availability``; the broker publishes the second one when we are gone."""

MAX_PAYLOAD: Final = 4 * MAX_TEXT
"""Bytes of a command: those of the longest text."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A value for one topic. A newer one replaces it while it waits."""

    topic: str
    payload: str
    retain: bool = True
    """Whether the broker gives it to clients that come later."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message of the broker, as it came: nothing about it is checked."""

    topic: str
    payload: bytes
    is_retained: bool = False
    """Whether it is an old message that the broker has kept."""


@dataclass(frozen=True, slots=True)
class BrokerCommand:
    """A valid command of a client of the broker."""

    name: str
    """One of ``COMMANDS``."""
    value: str
    """``on`` or ``off``, a number, a text, or nothing."""


def node_of(agent_id: str) -> str:
    """Return the level of the topics for this ear; different names have different levels."""
    node = re.sub(r"[^A-Za-z0-9_-]+", "-", agent_id)
    if node == agent_id:
        return node
    return f"{node}-{hashlib.sha256(agent_id.encode()).hexdigest()[:6]}"


class Topics:
    """The topics of one ear. A value."""

    def __init__(self, options: MqttOptions, agent_id: str) -> None:
        self.node = node_of(agent_id)
        base = f"{options.topic}/{self.node}"
        self.availability = f"{base}/availability"
        self.state = f"{base}/state"
        self.turn = f"{base}/turn"
        self.commands = f"{base}/+/set"
        """Filter of all topics of commands."""
        self._base = base

    def command(self, name: str) -> str:
        """Return the topic that takes this command."""
        return f"{self._base}/{name}/set"

    def command_of(self, message: Incoming) -> BrokerCommand:
        """Return the command in a message, or raise ``RemoteProtocolError``.

        The error never repeats the payload, which may be a private text.
        """
        names = {self.command(name): name for name in COMMANDS}
        name = names.get(message.topic)
        if name is None:
            raise RemoteProtocolError(f"expected one of the topics {', '.join(names)}")
        if message.is_retained:
            raise RemoteProtocolError(f"{name}: a retained message, expected one sent just now")
        if len(message.payload) > MAX_PAYLOAD:
            raise RemoteProtocolError(f"{name}: expected at most {MAX_PAYLOAD} bytes")
        try:
            text = message.payload.decode()
        except UnicodeDecodeError:
            raise RemoteProtocolError(f"{name}: expected UTF-8") from None
        return BrokerCommand(name, COMMANDS[name](text))


def _switch(text: str) -> str:
    if text not in ("ON", "OFF"):
        raise RemoteProtocolError("mute: expected ON or OFF")
    return text.lower()


def _volume(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,3}(\.0{1,3})?", text) or float(text) > LOUDEST:
        raise RemoteProtocolError(f"volume: expected a whole number from 0 to {LOUDEST}")
    return str(int(float(text)))


def _press(text: str) -> str:
    if text != "PRESS":
        raise RemoteProtocolError("a button: expected PRESS")
    return ""


def _text(text: str) -> str:
    words = " ".join(text.split())
    if not 0 < len(words) <= MAX_TEXT or not words.isprintable():
        raise RemoteProtocolError(f"say: expected a text of 1 to {MAX_TEXT} printable letters")
    return words


COMMANDS: Final[Mapping[str, Callable[[str], str]]] = {
    "mute": _switch,
    "volume": _volume,
    "listen": _press,
    "stop": _press,
    "say": _text,
}
"""For each command, the check of its payload, which returns the value of the command."""


def discovery(options: MqttOptions, agent_id: str) -> Iterator[Publication]:
    """Yield the configuration of each entity for Home Assistant; nothing without ``discovery``.

    An entity that the options do not allow gets an empty one, which removes it.
    """
    if not options.discovery:
        return
    topics = Topics(options, agent_id)
    common = {
        "availability_topic": topics.availability,
        "origin": {"name": "jarvis-ear", "sw_version": __version__},
        "device": {
            "identifiers": [f"jarvis_ear_{topics.node}"],
            "name": agent_id,
            "manufacturer": "jarvis-ear",
            "model": "room microphone",
            "sw_version": __version__,
        },
    }
    for kind, name, fields in _entities(topics):
        topic = f"{options.discovery}/{kind}/jarvis_ear_{topics.node}/{name}/config"
        is_offered = name != "listen" or options.may_listen
        unique = {"unique_id": f"jarvis_ear_{topics.node}_{name}"}
        config = {**common, **unique, **fields}
        yield Publication(topic, json.dumps(config) if is_offered else "")


def _entities(topics: Topics) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the kind of each entity, its name in topics, and its own fields."""

    def of_state(value: str) -> dict[str, Any]:
        return {"state_topic": topics.state, "value_template": f"{{{{ {value} }}}}"}

    def of_turn(value: str) -> dict[str, Any]:
        return {"state_topic": topics.turn, "value_template": f"{{{{ value_json.{value} }}}}"}

    def taking(name: str) -> dict[str, Any]:
        return {"command_topic": topics.command(name)}

    states = {"device_class": "enum", "options": [str(state) for state in State]}
    verdicts = {"device_class": "enum", "options": list(OUTCOMES)}
    yield (
        "sensor",
        "state",
        {"name": "State", "icon": "mdi:ear-hearing", **of_state("value_json.state"), **states},
    )
    yield (
        "sensor",
        "turn",
        {
            "name": "Last turn",
            **of_turn("verdict"),
            **verdicts,
            "json_attributes_topic": topics.turn,
        },
    )
    yield (
        "sensor",
        "answer",
        {
            "name": "Wait for the answer",
            **of_turn("answer_ms"),
            "device_class": "duration",
            "unit_of_measurement": "ms",
            "state_class": "measurement",
        },
    )
    yield (
        "sensor",
        "near_misses",
        {
            "name": "Near misses",
            "icon": "mdi:ear-hearing-off",
            **of_state("value_json.near_misses"),
            "state_class": "total_increasing",
        },
    )
    backend = "'ON' if value_json.connected else 'OFF'"
    connectivity = {"device_class": "connectivity", "entity_category": "diagnostic"}
    yield "binary_sensor", "backend", {"name": "Backend", **of_state(backend), **connectivity}
    muted = "'ON' if value_json.muted else 'OFF'"
    mute = {"name": "Mute", "icon": "mdi:microphone-off", **of_state(muted), **taking("mute")}
    yield "switch", "mute", mute
    loudness = {"min": 0, "max": LOUDEST, "step": 1, "unit_of_measurement": "%"}
    volume = {"name": "Volume", "icon": "mdi:volume-high", **of_state("value_json.volume")}
    yield "number", "volume", {**volume, **loudness, **taking("volume")}
    yield "button", "listen", {"name": "Listen", "icon": "mdi:microphone", **taking("listen")}
    yield "button", "stop", {"name": "Stop", "icon": "mdi:stop", **taking("stop")}
    yield "notify", "say", {"name": "Say", "icon": "mdi:bullhorn", **taking("say")}
