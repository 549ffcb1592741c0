"""MqttClient and MqttMembership: the ear at an MQTT broker, if one is configured."""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Final, NoReturn

from jarvis_ear.config import Config, MqttOptions
from jarvis_ear.control.commands import (
    COMMANDS_PER_S,
    SAY_TEXT,
    Answer,
    CommandRate,
    ControlCommands,
)
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConfigError, Disconnected, RemoteProtocolError
from jarvis_ear.journal.turns import BROKER_COMMAND
from jarvis_ear.link.login import Dialer
from jarvis_ear.link.mailbox import Mailbox
from jarvis_ear.link.membership import LinkClient, Membership
from jarvis_ear.link.network_thread import run_together
from jarvis_ear.link.tls_and_tcp import TrustStore, address, is_exposed
from jarvis_ear.log.throttle import Throttle
from jarvis_ear.mqtt.entities import ONLINE, BrokerCommand, Incoming, Publication, Topics, discovery
from jarvis_ear.mqtt.link import PEER, BrokerLink
from jarvis_ear.mute import BROKER, OWNER, Mute

_LOGGER = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Seconds between two looks for what changed without an event, such as the volume."""

MAX_TOPICS: Final = 32
"""More than the ear has; each has one value that may wait."""

Snapshot = Callable[[], Mapping[str, object]]
"""Returns muted, muted_by, hearing, connected, volume and near_misses. Any thread; never blocks.

That of an ``MqttClient`` also has the state of the ear.
"""


class BrokerQueue(Mailbox[Publication]):
    """Mailbox of what is to be published: the newest value of each topic, at most ``MAX_TOPICS``.

    A newer value replaces one of the same topic that waits (``replaced``).
    """

    def __init__(self) -> None:
        super().__init__(MAX_TOPICS)
        self.replaced = 0
        """Values that were not published, because a newer one came first."""

    def _trim(self) -> None:
        newest = {each.topic: each for each in self._items}
        self.replaced += len(self._items) - len(newest)
        self._items = deque(newest.values())
        super()._trim()


class BrokerCommands:
    """Carries out the commands of the broker. Lives on the thread of the broker.

    The broker may mute and stop the ear, set the volume and have a text said. It may end its own
    mute; it may end one by the owner or the clock only with ``may_unmute``, and make the ear listen
    only with ``may_listen``.
    """

    def __init__(self, mute: Mute, options: MqttOptions) -> None:
        self._mute = mute
        self._options = options
        self._orders: ControlCommands

    def connect(self, orders: ControlCommands) -> None:
        """Set who carries out all but the mute. Once, before the start."""
        self._orders = orders

    def change(self, options: MqttOptions) -> None:
        """Set the permissions. Any thread."""
        self._options = options

    def carry_out(self, command: BrokerCommand) -> Answer | Future[Answer]:
        """Carry out a command. The answer has ``error`` if it was not; that of `say` takes long."""
        match command:
            case BrokerCommand("mute", "on"):
                if BROKER not in self._mute.by:  # already muted: no second write to the disk
                    self._mute.mute(BROKER)
                return {}
            case BrokerCommand("mute"):
                return self._unmute()
            case BrokerCommand("listen") if not self._options.may_listen:
                return {"error": "expected mqtt.may_listen"}
            case BrokerCommand("say", text):
                return self._orders.take(SAY_TEXT, text.encode())
        return self._orders.answer(f"{command.name} {command.value}".strip())

    def _unmute(self) -> Answer:
        if self._options.may_unmute and self._mute.by:
            self._mute.unmute(OWNER)
        elif BROKER in self._mute.by:
            self._mute.unmute(BROKER)
        if others := self._mute.by:
            return {"error": f"muted by the {', '.join(others)}: expected mqtt.may_unmute"}
        return {}


class MqttClient(LinkClient[BrokerLink]):
    """Keeps a connection to the broker. Any thread may post; no call blocks.

    ``commands`` are carried out in its thread "mqtt".
    """

    def __init__(
        self,
        options: MqttOptions,
        agent_id: str,
        commands: BrokerCommands,
        snapshot: Snapshot,
        timing: Timing | None = None,
    ) -> None:
        require_usable(options)
        self._timing = timing or Timing()
        super().__init__(address(options.url), PEER, "jarvis-ear-mqtt", self._timing.stop_s)
        self._options = options
        self._agent_id = agent_id
        self._commands = commands
        self._snapshot = snapshot
        self._topics = Topics(options, agent_id)
        self._trust_store = TrustStore(options.ca_file, options.url, "mqtt.ca_file")
        self._queue = BrokerQueue()
        self._published = ""
        self._last_turn: Publication | None = None
        self._warnings = Throttle()
        self._rate = CommandRate()
        self.refused = 0
        """Commands that were not carried out."""

    def counters(self) -> Mapping[str, int]:
        """Return how many values were replaced, and how many commands refused."""
        return {"mqtt_replaced": self._queue.replaced, "mqtt_refused": self.refused}

    def health(self) -> Mapping[str, object]:
        """Return the state of the link to the broker; if it is down, the reason."""
        reason = "" if self._status.connected else self._status.trouble[0]
        return {"mqtt": str(self._status.state), **({"mqtt_reason": reason} if reason else {})}

    def look(self) -> None:
        """Publish the state of the ear if it has changed. Any thread."""
        if self._thread.alive:
            self._thread.call_soon(self._look)

    def post_turn(self, turn: Mapping[str, object]) -> None:
        """Publish how a turn ended. Words are not retained. Any thread."""
        retain = not self._options.transcripts
        self._last_turn = Publication(self._topics.turn, json.dumps(turn), retain)
        self._queue.post(self._last_turn)

    def _dialer(self) -> Dialer[BrokerLink]:
        return Dialer(self._link, None, time.monotonic, peer=PEER)

    def _link(self) -> BrokerLink:
        return BrokerLink(self._options, self._topics, self._timing, self._trust_store)

    async def _serve(self, link: BrokerLink) -> None:
        """Publish everything once, then what changes, until the link ends: ``Disconnected``."""
        wake = asyncio.Event()
        with self._queue.waking(wake.set):
            for each in discovery(self._options, self._agent_id):
                self._queue.post(each)
            if self._last_turn is not None and self._last_turn.retain:
                self._queue.post(self._last_turn)  # a broker may have lost it in a restart
            self._published = ""
            self._look()
            self._queue.post(Publication(self._topics.availability, ONLINE))
            work = (link.run(), self._read(link), self._write(link, wake), self._look_often())
            await run_together(*work)

    async def _read(self, link: BrokerLink) -> NoReturn:
        while True:
            message = await link.received.get()
            try:
                self._take_message(message)
            except RemoteProtocolError as error:
                self._refuse(str(error))
            self._look()

    def _take_message(self, message: Incoming) -> None:
        """Carry out the command in a message, or raise ``RemoteProtocolError``."""
        command = self._topics.command_of(message)
        if not self._rate.allows():
            raise RemoteProtocolError(f"expected at most {COMMANDS_PER_S:g} commands per second")
        answer = self._commands.carry_out(command)
        if isinstance(answer, Future):
            answer.add_done_callback(lambda done: self._take_answer(command.name, done.result()))
        else:
            self._take_answer(command.name, answer)

    def _take_answer(self, name: str, answer: Answer) -> None:
        """Note whether a command was carried out. Any thread."""
        if why := answer.get("error"):
            self._thread.call_soon(partial(self._refuse, f"{name}: {why}"))

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        if self._warnings.allows(time.monotonic()):
            fields = BROKER_COMMAND.fields(REASON=reason, BROKER=self._place)
            words = "a command of the MQTT broker was not carried out: %s"
            _LOGGER.warning(words, reason, extra=fields)

    async def _write(self, link: BrokerLink, wake: asyncio.Event) -> NoReturn:
        while True:
            wake.clear()
            while (each := self._queue.take()) is not None:
                try:
                    async with asyncio.timeout(self._timing.dead_s):
                        await link.send(each)
                except TimeoutError:
                    dead_s = self._timing.dead_s
                    raise Disconnected(
                        f"the broker has acknowledged nothing for {dead_s:g} s"
                    ) from None
            await wake.wait()

    async def _look_often(self) -> NoReturn:
        while True:
            await asyncio.sleep(LOOK_S)
            self._look()

    def _look(self) -> None:
        """Publish the state if it has changed."""
        state = json.dumps(self._snapshot())
        if state != self._published:
            self._published = state
            self._queue.post(Publication(self._topics.state, state))


class MqttMembership(Membership[MqttClient]):
    """State, turns and commands of the ear at a broker, which knows every client by one name."""

    NAME = "mqtt"
    COUNTERS = ("mqtt_replaced", "mqtt_refused")

    def __init__(self, options: Config, mute: Mute) -> None:
        self._commands = BrokerCommands(mute, options.mqtt)
        self._snapshot: Snapshot = dict
        self._state = "idle"
        super().__init__(options)

    def connect(self, orders: ControlCommands, snapshot: Snapshot) -> None:
        """Set who carries out commands and where the state comes from. Once, before the start."""
        self._commands.connect(orders)
        self._snapshot = snapshot

    def enter(self, state: str) -> None:
        """Publish the state of the ear. Any thread."""
        self._state = state
        if (client := self._client) is not None:
            client.look()

    def post_turn(self, turn: Mapping[str, object]) -> None:
        """Publish how a turn ended. Any thread."""
        if (client := self._client) is not None:
            client.post_turn(turn)

    def _look(self) -> Mapping[str, object]:
        return {"state": self._state, **self._snapshot()}

    def _make(self, options: Config) -> MqttClient | None:
        if not options.mqtt.url:
            return None
        agent_id = options.backend.agent_id
        return MqttClient(options.mqtt, agent_id, self._commands, self._look)

    def _settings_of(self, options: Config) -> tuple[object, ...]:
        return (options.mqtt, options.backend.agent_id) if options.mqtt.url else ()

    def _permit(self, options: Config) -> None:
        self._commands.change(options.mqtt)


def require_usable(options: MqttOptions) -> None:
    """Raise ``ConfigError`` for a broker that others can read, or a password without a name."""
    if is_exposed(options.url) and not options.allow_plaintext:
        raise ConfigError(
            f"mqtt.url: {address(options.url)} could be read and forged on the way, "
            "expected mqtts:// (or mqtt.allow_plaintext = true, for a network you trust)"
        )
    if options.password.get_secret_value() and not options.user:
        raise ConfigError("mqtt.password: expected mqtt.user as well")
