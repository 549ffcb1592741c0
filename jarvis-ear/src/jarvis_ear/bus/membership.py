"""BusMembership: the ear on the event bus, if one is configured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from jarvis_ear.bus.client import BusClient
from jarvis_ear.config import Config
from jarvis_ear.mute import BUS, OWNER, Mute
from jarvis_ear.turn_trace.bus_view import BusNews
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import Event


class NoBusClient:
    """Does what ``BusClient`` does, with nobody. Any thread."""

    is_member = False
    """Whether there is a bus to be reached."""

    def health(self) -> Mapping[str, object]:
        """Say that there is none."""
        return {"bus": "off"}

    def counters(self) -> Mapping[str, int]:
        """Count nothing: the names are those of a bus."""
        return {"bus_dropped": 0, "bus_refused": 0}

    def start(self) -> None:
        """Reach nobody."""

    def stop(self) -> None:
        """Leave nobody."""

    def leave(self) -> None:
        """Leave nobody, likewise."""

    def post(self, event: wire.Event) -> None:
        """Tell nobody."""

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Switch nothing."""

    def announce(self, by: Sequence[str]) -> None:
        """Announce it to nobody."""


class BusSwitch:
    """Obeys the bus as far as the owner allows it. Lives on the thread of the bus.

    The bus may close the ear at any time. It opens what it closed itself; what owner or clock
    closed it opens only with ``may_unmute``.
    """

    def __init__(self, mute: Mute, *, may_unmute: bool) -> None:
        self._mute = mute
        self._may_unmute = may_unmute

    def change(self, *, may_unmute: bool) -> None:
        """Go on with another word of the owner. Any thread."""
        self._may_unmute = may_unmute

    def turn(self, *, enabled: bool) -> bool:
        """Close or open the ear, and return whether it is now as the bus wants it."""
        if enabled:
            self._open()
        elif BUS not in self._mute.by:  # said already: the disk need not hear it again
            self._mute.mute(BUS)
        return enabled == (not self._mute.by)

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Tell ``listener`` who wants the ear closed, before any change after this."""
        self._mute.tell(listener)

    def _open(self) -> None:
        if self._may_unmute and self._mute.by:
            self._mute.unmute(OWNER)
        elif BUS in self._mute.by:
            self._mute.unmute(BUS)


class BusMembership:
    """Who the ear is on the bus, what it tells there, and what may be done to it from there.

    Owned by the main thread, which starts, changes and stops it; any thread may tell it something,
    and none ever waits.
    """

    def __init__(self, options: Config, mute: Mute) -> None:
        self._switch = BusSwitch(mute, may_unmute=options.bus.may_unmute)
        self._client = _client(options, self._switch)
        self._terms = _terms(options)
        self.news = BusNews(options.backend.agent_id, options.bus.news, self._post)
        """What takes down turns for the bus."""

    @property
    def is_member(self) -> bool:
        """Whether there is a bus to be reached."""
        return self._client.is_member

    def prepare(self, options: Config) -> Callable[[], None]:
        """Check other options, and return what goes on with them; or raise ``ConfigError``."""
        client, terms = _client(options, self._switch), _terms(options)

        def go_on() -> None:
            self._switch.change(may_unmute=options.bus.may_unmute)
            self.news.change(options.backend.agent_id, options.bus.news)
            if terms != self._terms:
                self._terms = terms
                self._exchange(client)

        return go_on

    def announce(self, by: Sequence[str]) -> None:
        """Tell everybody whether the microphone is open, and if not, who closed it."""
        self._client.announce(by)

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Have a module switched, one of ``wire.MODULES``."""
        self._client.switch_module(module, enabled=enabled)

    def health(self) -> Mapping[str, object]:
        """Say how things stand with the bus."""
        return self._client.health()

    def counters(self) -> Mapping[str, int]:
        """Return what was lost on the way out, and how many frames were no message."""
        return self._client.counters()

    def __enter__(self) -> Self:
        self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def _exchange(self, client: BusClient | NoBusClient) -> None:
        """Join in another way. What still waited to be said is dropped: it says anew how it is."""
        self._client.leave()
        self._client = client
        client.start()

    def _post(self, event: Event) -> None:
        self._client.post(event)


def _client(options: Config, switch: BusSwitch) -> BusClient | NoBusClient:
    if not options.bus.url:
        return NoBusClient()
    return BusClient(options.bus, options.backend, switch)


def _terms(options: Config) -> tuple[object, ...]:
    """Return what a connection depends on: only where it differs is another one made."""
    backend = options.backend
    login = (backend.url, backend.password, backend.token, backend.ca_file, backend.connect_s)
    return (options.bus, backend.agent_id, *login) if options.bus.url else ()
