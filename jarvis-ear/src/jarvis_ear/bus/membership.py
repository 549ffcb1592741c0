"""BusMembership: membership on the event bus, if one is configured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from jarvis_ear.bus.client import BusClient
from jarvis_ear.config import Config
from jarvis_ear.mute import BUS, OWNER, Mute
from jarvis_ear.turn_trace.bus_view import BusNews
from jarvis_ear.wires.event_bus import Event


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
        self._settings = _settings(options)
        self.news = BusNews(options.backend.agent_id, options.bus.news, self._post)
        """Observer of the turns that reports them on the bus."""

    @property
    def is_member(self) -> bool:
        """Whether a bus is configured."""
        return self._client is not None

    def prepare(self, options: Config) -> Callable[[], None]:
        """Check new options and return a function that applies them; or raise ``ConfigError``."""
        client, settings = _client(options, self._switch), _settings(options)

        def apply() -> None:
            self._switch.change(may_unmute=options.bus.may_unmute)
            self.news.change(options.backend.agent_id, options.bus.news)
            if settings != self._settings:
                self._settings = settings
                self._replace(client)

        return apply

    def announce(self, by: Sequence[str]) -> None:
        """Announce whether the microphone is open, and if not, who closed it."""
        if self._client is not None:
            self._client.announce(by)

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Request that a module (one of ``event_bus.MODULES``) is switched."""
        if self._client is not None:
            self._client.switch_module(module, enabled=enabled)

    def health(self) -> Mapping[str, object]:
        """Return the state of the bus."""
        return {"bus": "off"} if self._client is None else self._client.health()

    def counters(self) -> Mapping[str, int]:
        """Return how many events were dropped, and how many frames were refused."""
        no_bus = {"bus_dropped": 0, "bus_refused": 0}
        return no_bus if self._client is None else self._client.counters()

    def __enter__(self) -> Self:
        if self._client is not None:
            self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.stop()

    def _replace(self, client: BusClient | None) -> None:
        """Replace the client. Queued events are dropped: the new client announces the state."""
        if self._client is not None:
            self._client.leave()
        self._client = client
        if client is not None:
            client.start()

    def _post(self, event: Event) -> None:
        if self._client is not None:
            self._client.post(event)


def _client(options: Config, switch: BusSwitch) -> BusClient | None:
    return BusClient(options.bus, options.backend, switch) if options.bus.url else None


def _settings(options: Config) -> tuple[object, ...]:
    """Return the options a connection depends on; it is replaced only when they change."""
    backend = options.backend
    login = (backend.url, backend.password, backend.token, backend.ca_file, backend.connect_s)
    return (options.bus, backend.agent_id, *login) if options.bus.url else ()
