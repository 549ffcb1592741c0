"""BusMembership: membership on the event bus, if one is configured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from jarvis_ear.bus.client import BusClient
from jarvis_ear.config import Config
from jarvis_ear.mute import BUS, OWNER, Mute
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import Event


class NoBusClient:
    """``BusClient`` without a bus: does nothing. Any thread."""

    is_member = False
    """Whether a bus is configured."""

    def health(self) -> Mapping[str, object]:
        """Report that the bus is off."""
        return {"bus": "off"}

    def counters(self) -> Mapping[str, int]:
        """Return the counters of ``BusClient``, all 0."""
        return {"bus_dropped": 0, "bus_refused": 0}

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""

    def post(self, event: wire.Event) -> None:
        """Do nothing."""

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Do nothing."""

    def announce(self, by: Sequence[str]) -> None:
        """Do nothing."""


class BusSwitch:
    """Mutes and unmutes on request of the bus. Lives on the thread of the bus.

    The bus may mute at any time. It may end its own mute; it may end one by the owner or the clock
    only with ``may_unmute``.
    """

    def __init__(self, mute: Mute, *, may_unmute: bool) -> None:
        self._mute = mute
        self._may_unmute = may_unmute

    def change(self, *, may_unmute: bool) -> None:
        """Set the permission to unmute. Any thread."""
        self._may_unmute = may_unmute

    def turn(self, *, enabled: bool) -> bool:
        """Unmute (``enabled``) or mute; return whether the result is what the bus requested."""
        if enabled:
            self._open()
        elif BUS not in self._mute.by:  # already muted by the bus: no second write to the disk
            self._mute.mute(BUS)
        return enabled == (not self._mute.by)

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call ``listener`` with those who mute, before any later change."""
        self._mute.tell(listener)

    def _open(self) -> None:
        if self._may_unmute and self._mute.by:
            self._mute.unmute(OWNER)
        elif BUS in self._mute.by:
            self._mute.unmute(BUS)


class BusMembership:
    """Identity, news and permissions on the bus.

    Owned by the main thread, which starts, changes and stops it; any thread may post, without
    blocking.
    """

    def __init__(self, options: Config, mute: Mute) -> None:
        self._switch = BusSwitch(mute, may_unmute=options.bus.may_unmute)
        self._client = _client(options, self._switch)
        self._terms = _terms(options)

    @property
    def is_member(self) -> bool:
        """Whether a bus is configured."""
        return self._client.is_member

    def prepare(self, options: Config) -> Callable[[], None]:
        """Check new options and return a function that applies them; or raise ``ConfigError``."""
        client, terms = _client(options, self._switch), _terms(options)

        def go_on() -> None:
            self._switch.change(may_unmute=options.bus.may_unmute)
            if terms != self._terms:
                self._terms = terms
                self._exchange(client)

        return go_on

    def announce(self, by: Sequence[str]) -> None:
        """Announce whether the microphone is open, and if not, who closed it."""
        self._client.announce(by)

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Request that a module (one of ``wire.MODULES``) is switched."""
        self._client.switch_module(module, enabled=enabled)

    def post(self, event: Event) -> None:
        """Post an event, under the name of this ear."""
        self._client.post(event)

    def health(self) -> Mapping[str, object]:
        """Return the state of the bus."""
        return self._client.health()

    def counters(self) -> Mapping[str, int]:
        """Return how many events were dropped, and how many frames were not valid messages."""
        return self._client.counters()

    def __enter__(self) -> Self:
        self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def _exchange(self, client: BusClient | NoBusClient) -> None:
        """Replace the client. Queued events are dropped: the new client announces the state."""
        self._client.leave()
        self._client = client
        client.start()


def _client(options: Config, switch: BusSwitch) -> BusClient | NoBusClient:
    if not options.bus.url:
        return NoBusClient()
    return BusClient(options.bus, options.backend, switch)


def _terms(options: Config) -> tuple[object, ...]:
    """Return the options a connection depends on; it is replaced only when they change."""
    backend = options.backend
    login = (backend.url, backend.password, backend.token, backend.ca_file, backend.connect_s)
    return (options.bus, backend.agent_id, *login) if options.bus.url else ()
