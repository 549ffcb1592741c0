"""Membership: the ear on the event bus, if there is one; a reload may choose another."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from jarvis_ear.config import Config
from jarvis_ear.system.bus_news import BusNews
from jarvis_ear.system.bus_switch import BusSwitch
from jarvis_ear.system.mute import Mute
from jarvis_ear.transports.bus_client import BusClient
from jarvis_ear.transports.no_bus import NoBus
from jarvis_ear.wire.event_bus import Event


class Membership:
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

    def _exchange(self, client: BusClient | NoBus) -> None:
        """Join in another way. What still waited to be said is dropped: it says anew how it is."""
        self._client.leave()
        self._client = client
        client.start()

    def _post(self, event: Event) -> None:
        self._client.post(event)


def _client(options: Config, switch: BusSwitch) -> BusClient | NoBus:
    if not options.bus.url:
        return NoBus()
    return BusClient(options.bus, options.backend, switch)


def _terms(options: Config) -> tuple[object, ...]:
    """Return what a connection depends on: only where it differs is another one made."""
    backend = options.backend
    login = (backend.url, backend.password, backend.token, backend.ca_file, backend.connect_s)
    return (options.bus, backend.agent_id, *login) if options.bus.url else ()
