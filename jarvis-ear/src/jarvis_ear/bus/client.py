"""BusClient and BusMembership: the connection to an event bus, if one is configured."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from jarvis_ear.bus.session import (
    PEER,
    QUEUE_EVENTS,
    BusDialect,
    BusHandshake,
    BusLink,
    BusSession,
    Switch,
)
from jarvis_ear.config import BackendOptions, BusOptions, Config
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConfigError
from jarvis_ear.link.login import Admission, Dialer, Login
from jarvis_ear.link.mailbox import Mailbox
from jarvis_ear.link.membership import LinkClient, Membership
from jarvis_ear.link.supervisor import LinkState
from jarvis_ear.link.tls_and_tcp import TrustStore, address, is_exposed
from jarvis_ear.link.websocket import WebSocketLink
from jarvis_ear.mute import BUS, OWNER, Mute
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import Event, MessageSigner, ModuleControl

_LOGGER = logging.getLogger(__name__)

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class BusClient(LinkClient[BusLink]):
    """Keeps a connection to the bus. Any thread may post and announce; neither blocks.

    ``switch`` is called in its thread "bus".
    """

    def __init__(
        self,
        config: BusOptions,
        backend: BackendOptions,
        switch: Switch,
        timing: Timing | None = None,
    ) -> None:
        refuse_plaintext(config)
        self._url = config.url if urlsplit(config.url).path.strip("/") else _with_path(config.url)
        self._backend = backend
        self._timing = timing or Timing(connect_s=backend.connect_s, login_s=backend.connect_s)
        super().__init__(address(self._url), PEER, "jarvis-ear-bus", self._timing.stop_s)
        self._trust_store = TrustStore(backend.ca_file, config.url)
        self._signer = MessageSigner(config.key.get_secret_value().encode() or None, time.time)
        self._events: Mailbox[Event | ModuleControl] = Mailbox(QUEUE_EVENTS)
        self._session = BusSession(
            self._events, switch, self._timing, self.announce, backend.agent_id
        )

    @property
    def state(self) -> LinkState:
        """State of the link to the bus."""
        return self._status.state

    @property
    def modules(self) -> Mapping[str, bool]:
        """Whether each module is enabled, as last reported on the bus; without the microphones."""
        return self._session.modules

    def counters(self) -> Mapping[str, int]:
        """Return how many events were dropped, and how many frames were refused."""
        return {"bus_dropped": self._events.dropped, "bus_refused": self._session.refused}

    def health(self) -> Mapping[str, object]:
        """Return the state of the bus and of its modules."""
        return {"bus": str(self.state), "modules": dict(self.modules), **self.counters()}

    def post(self, event: Event) -> None:
        """Send an event to all members of the bus, under the name of this ear. Any thread."""
        self._events.post(event)

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Request that a module (one of ``wire.MODULES``) is switched."""
        self._events.post(ModuleControl(module, enabled))

    def announce(self, by: Sequence[str]) -> None:
        """Announce whether the microphone is open, and if not, who closed it."""
        agent_id, now_s = self._backend.agent_id, time.time()
        self.post(wire.announced(agent_id, enabled=not by, by=by, now_s=now_s))

    async def _serve(self, link: BusLink) -> None:
        await self._session.serve(link)

    def _dialer(self) -> Dialer[BusLink]:
        """Return a dialer, which logs in only if the bus is part of the backend."""
        password = self._backend.password.get_secret_value()
        login = Login(
            self._backend.url.rstrip("/"), password, self._timing.login_s, self._trust_store
        )
        return Dialer(
            self._link,
            login.token if is_same_server(self._url, self._backend.url) else None,
            time.monotonic,
            given=self._backend.token.get_secret_value(),
            admission=Admission.UNASKED,
            peer=PEER,
        )

    def _link(self) -> BusLink:
        handshake, dialect = BusHandshake(self._url), BusDialect(self._signer)
        return WebSocketLink(
            handshake, dialect, self._timing, lambda: None, self._trust_store, peer=PEER
        )


def is_same_server(bus_url: str, backend_url: str) -> bool:
    """Whether both are the same server, which may get the same password."""
    return _server(bus_url) == _server(backend_url)


def _server(url: str) -> tuple[bool, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme in {"https", "wss"}, parts.hostname, parts.port or _PORTS[parts.scheme]


def _with_path(url: str) -> str:
    return url.rstrip("/") + wire.PATH


def refuse_plaintext(config: BusOptions) -> None:
    """Raise ConfigError for a bus that others can read, unless the configuration allows it."""
    if is_exposed(config.url) and not config.allow_plaintext:
        raise ConfigError(
            f"bus.url: {address(config.url)} could be read and forged on the way, "
            "expected wss:// (or bus.allow_plaintext = true, for a network you trust)"
        )


class BusSwitch:
    """Carries out what the bus requests. Lives on the thread of the bus.

    The bus may mute and stop the ear at any time. It may end its own mute; it may end one by the
    owner or the clock only with ``may_unmute``, and make the ear listen only with ``may_listen``.
    ``requests`` has the calls, which must not block.
    """

    def __init__(
        self, mute: Mute, options: BusOptions, requests: Mapping[str, Callable[[], None]]
    ) -> None:
        self.on_claim: Callable[[Mapping[str, Any]], None] = lambda _data: None
        """Gets the claims of other ears. Set before the start."""
        self._mute = mute
        self._options = options
        self._requests = requests

    def change(self, options: BusOptions) -> None:
        """Set the permissions. Any thread."""
        self._options = options

    def turn(self, *, enabled: bool) -> bool:
        """Unmute (``enabled``) or mute; return whether the result is what the bus requested."""
        if enabled:
            self._open()
        elif BUS not in self._mute.by:  # already muted by the bus: no second write to the disk
            self._mute.mute(BUS)
        return enabled == (not self._mute.by)

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call ``listener`` with who muted the ear, before any later change."""
        self._mute.tell(listener)

    def request(self, kind: str) -> None:
        """Carry out one of ``wire.REQUESTS``, if the bus may request it."""
        if kind == wire.LISTEN and not self._options.may_listen:
            _LOGGER.debug("the bus asks to listen, which bus.may_listen does not allow")
            return
        self._requests[kind]()

    def claim(self, data: Mapping[str, Any]) -> None:
        """Pass on what an ear tells the others about a wake word."""
        self.on_claim(data)

    def _open(self) -> None:
        if self._options.may_unmute and self._mute.by:
            self._mute.unmute(OWNER)
        elif BUS in self._mute.by:
            self._mute.unmute(BUS)


class BusMembership(Membership[BusClient]):
    """Identity, news and permissions on the bus."""

    NAME = "bus"
    COUNTERS = ("bus_dropped", "bus_refused")

    def __init__(
        self,
        options: Config,
        mute: Mute,
        *,
        on_stop: Callable[[], None] = lambda: None,
        on_listen: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_stop`` and ``on_listen`` are called on the thread of the bus and must not block."""
        requests = {wire.STOP: on_stop, wire.LISTEN: on_listen}
        self._switch = BusSwitch(mute, options.bus, requests)
        super().__init__(options)

    def connect(self, on_claim: Callable[[Mapping[str, Any]], None]) -> None:
        """Set who gets the claims of other ears, on the thread of the bus. Once, before the start.

        It must not block.
        """
        self._switch.on_claim = on_claim

    @property
    def is_member(self) -> bool:
        """Whether a bus is configured."""
        return self._client is not None

    def announce(self, by: Sequence[str]) -> None:
        """Announce whether the microphone is open, and if not, who closed it."""
        if (client := self._client) is not None:
            client.announce(by)

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Request that a module (one of ``event_bus.MODULES``) is switched."""
        if (client := self._client) is not None:
            client.switch_module(module, enabled=enabled)

    def post(self, event: Event) -> None:
        """Post an event, under the name of this ear. Any thread."""
        if (client := self._client) is not None:
            client.post(event)

    def post_now(self, event: Event) -> None:
        """Post an event that is of no use later: not while the bus is away. Any thread."""
        client = self._client
        if client is not None and client.state is LinkState.CONNECTED:
            client.post(event)

    def _make(self, options: Config) -> BusClient | None:
        return BusClient(options.bus, options.backend, self._switch) if options.bus.url else None

    def _settings_of(self, options: Config) -> tuple[object, ...]:
        backend = options.backend
        login = (backend.url, backend.password, backend.token, backend.ca_file, backend.connect_s)
        return (options.bus, backend.agent_id, *login) if options.bus.url else ()

    def _permit(self, options: Config) -> None:
        self._switch.change(options.bus)
