"""BrokerLink: one connection to an MQTT broker, on the event loop of its thread."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp

from jarvis_ear.config import MqttOptions
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, Rejected
from jarvis_ear.journal.turns import BROKER_REACHED, BROKER_REJECTS, BROKER_UNREACHABLE
from jarvis_ear.link.connection import Link, Peer, Setback
from jarvis_ear.link.tls_and_tcp import AbandonableTask, TrustStore
from jarvis_ear.mqtt.entities import MAX_PAYLOAD, OFFLINE, Incoming, Publication, Topics

if TYPE_CHECKING:
    from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, SocketLike
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S: Final = 15
"""Seconds without a message after which both sides ping; a broker that is gone is found in 30 s."""

MAX_UNACKNOWLEDGED: Final = 8
"""Publications that the broker has not acknowledged yet; further ones wait in the queue."""

MAX_PACKET: Final = MAX_PAYLOAD + 1024
"""Bytes; the broker sends no longer packet: it was told so at the connect."""

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}

_BAD_LOGIN: Final = (134, 135, 140)
"""Reason codes of MQTT 5: bad user name or password, not authorised, bad authentication method."""

_UNSPECIFIED: Final = 128
"""Reason code of a connection that was lost without a reason."""

PEER: Final = Peer(
    "broker",
    "BROKER",
    BROKER_REACHED,
    {
        Setback.UNREACHABLE: BROKER_UNREACHABLE,
        Setback.FOREIGN: BROKER_UNREACHABLE,
        Setback.REJECTED: BROKER_REJECTS,
    },
    MAX_PACKET,
    is_reset=False,
)


class BrokerLink(Link[Publication, Incoming]):
    """One connection with paho-mqtt, which is imported here. The thread of the broker only.

    paho opens the socket in a separate thread, because it looks up names and shakes hands without
    an event loop; the loop then reads and writes.
    """

    def __init__(
        self, options: MqttOptions, topics: Topics, timing: Timing, trust_store: TrustStore
    ) -> None:
        super().__init__(timing, lambda: None, None, PEER)
        self._options = options
        self._topics = topics
        self._trust_store = trust_store
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._subscribed: asyncio.Future[bool] = self._loop.create_future()
        self._unacknowledged = 0
        self._has_room = asyncio.Event()

    @property
    def usable(self) -> bool:
        """Whether a publication sent now goes to the broker."""
        return self._client is not None and self._client.is_connected()

    async def _connect(self, _session: aiohttp.ClientSession, _token: str | None) -> None:
        worker = AbandonableTask("jarvis-ear-mqtt-connect", self._dial)
        try:
            client = await worker.start()
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or "TLS failed"
            raise ConnectFailed(f"connection failed: {reason.replace('_', ' ').lower()}") from None
        worker.settle()
        self._client = client
        client.on_socket_register_write = self._want_write
        client.on_socket_unregister_write = self._want_no_write
        opened = client.socket()
        if opened is not None:
            self._loop.add_reader(opened, self._receive)
        await self._accepted
        await self._subscribe(client)

    async def _subscribe(self, client: "Client") -> None:
        """Subscribe to the commands; the link is usable without that."""
        from paho.mqtt.subscribeoptions import SubscribeOptions  # noqa: PLC0415 - if configured

        client.subscribe(self._topics.commands, options=SubscribeOptions(qos=1, retainHandling=2))
        if not await self._subscribed:
            self.remark = "it does not let the ear take commands"

    def _dial(self) -> "Client":
        """Open the socket and send the first packet. Blocks; runs in a separate thread."""
        from paho.mqtt.client import Client, MQTTv5  # noqa: PLC0415 - only if a broker is configured
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415 - likewise
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - likewise
        from paho.mqtt.properties import Properties  # noqa: PLC0415 - likewise

        name = f"jarvis-ear-{self._topics.node}"
        client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5)
        client.max_inflight_messages_set(MAX_UNACKNOWLEDGED)
        client.connect_timeout = self._timing.connect_s
        client.will_set(self._topics.availability, OFFLINE, qos=1, retain=True)
        parts, context = urlsplit(self._options.url), self._trust_store.context
        if parts.scheme == "mqtts" and isinstance(context, ssl.SSLContext):
            client.tls_set_context(context)
        if self._options.user:
            password = self._options.password.get_secret_value()
            client.username_pw_set(self._options.user, password or None)
        on_loop = self._on_loop
        client.on_connect = on_loop(self._connected)
        client.on_disconnect = on_loop(self._disconnected)
        client.on_subscribe = self._subscription_answered
        client.on_publish = self._acknowledged
        client.on_message = self._message
        client.on_socket_close = self._forget
        bounds = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library's own
        bounds.MaximumPacketSize = MAX_PACKET
        port = parts.port or _PORTS[parts.scheme]
        client.connect(parts.hostname or "", port, KEEPALIVE_S, clean_start=True, properties=bounds)
        return client

    def _on_loop(self, call: Callable[..., None]) -> Callable[..., None]:
        """Return a callback that calls on the loop: paho may call it where it opens the socket."""

        def later(*given: Any) -> None:  # noqa: ANN401 - as the library calls it
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(partial(call, *given))

        return later

    def _connected(
        self,
        _client: "Client",
        _userdata: object,
        _flags: "ConnectFlags",
        reason: "ReasonCode",
        _properties: "Properties | None",
    ) -> None:
        if self._accepted.done():
            return
        if not reason.is_failure:
            self._accepted.set_result(None)
        elif reason.value in _BAD_LOGIN:
            why = f"the broker does not accept the login: {reason.getName().lower()}"
            self._accepted.set_exception(Rejected(why))
        else:
            why = f"the broker refuses the connection: {reason.getName().lower()}"
            self._accepted.set_exception(ConnectFailed(why))

    def _disconnected(
        self,
        _client: "Client",
        _userdata: object,
        _flags: object,
        reason: "ReasonCode",
        _properties: "Properties | None",
    ) -> None:
        detail = "" if reason.value == _UNSPECIFIED else f": {reason.getName().lower()}"
        why = f"the broker closed the connection{detail}"
        if not self._accepted.done():
            self._accepted.set_exception(ConnectFailed(why))
        if not self._subscribed.done():
            self._subscribed.set_result(False)
        self._keepalive.end(why)
        self._has_room.set()

    def _subscription_answered(
        self,
        _client: object,
        _userdata: object,
        _mid: int,
        codes: "list[ReasonCode]",
        _more: object,
    ) -> None:
        if not self._subscribed.done():
            self._subscribed.set_result(not any(code.is_failure for code in codes))

    def _acknowledged(self, *_: object) -> None:
        self._unacknowledged -= 1
        self._has_room.set()

    def _message(self, _client: object, _userdata: object, message: "MQTTMessage") -> None:
        self._deliver(Incoming(message.topic, bytes(message.payload), message.retain))

    def _receive(self) -> None:
        """Read what has arrived, also what TLS has decrypted already."""
        client = self._client
        if client is None:
            return
        try:
            client.loop_read()
            while (opened := client.socket()) is not None and getattr(opened, "pending", int)():
                client.loop_read()
        except Exception:  # noqa: BLE001 - a peer can make the library raise anything
            why = "the broker sends what is not MQTT"
            if not self._accepted.done():
                self._accepted.set_exception(ConnectFailed(why))
            self.abort(why)

    def _transmit(self) -> None:
        if self._client is not None:
            self._client.loop_write()

    def _want_write(self, _client: object, _userdata: object, opened: "SocketLike") -> None:
        if opened.fileno() >= 0:
            self._loop.add_writer(opened, self._transmit)

    def _want_no_write(self, _client: object, _userdata: object, opened: "SocketLike") -> None:
        if opened.fileno() >= 0:
            self._loop.remove_writer(opened)

    def _forget(self, _client: object, _userdata: object, opened: "SocketLike") -> None:
        """Stop watching a socket that is about to be closed."""
        if self._client is not None and opened.fileno() >= 0:
            self._loop.remove_reader(opened)
            self._loop.remove_writer(opened)

    async def _send(self, message: Publication) -> None:
        while self._unacknowledged >= MAX_UNACKNOWLEDGED and self.usable:
            self._has_room.clear()
            await self._has_room.wait()
        if self._client is not None:
            self._unacknowledged += 1
            self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)

    async def _ping(self) -> None:
        """Let paho send its ping when one is due; it closes the socket if none is answered."""
        if self._client is not None:
            self._client.loop_misc()

    def _drop(self) -> None:
        client, self._client = self._client, None
        opened = None if client is None else client.socket()
        if opened is not None and opened.fileno() >= 0:
            self._loop.remove_reader(opened)
            self._loop.remove_writer(opened)
            opened.close()

    async def _release(self) -> None:
        """Say goodbye, and have the broker publish that we are offline."""
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - only if configured
        from paho.mqtt.reasoncodes import ReasonCode  # noqa: PLC0415 - likewise

        if self._client is None or not self.usable:
            return
        with suppress(Exception):  # the link has ended: no error matters any more
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=4))
            self._client.loop_write()
