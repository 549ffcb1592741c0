"""BusClient: the connection to an event bus."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from jarvis_ear.bus.session import BusConnection, BusModules, BusQueue, BusSession, Switch
from jarvis_ear.config import BackendOptions, BusOptions
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import (
    ConfigError,
    Disconnected,
    JarvisEarError,
    Rejected,
    RemoteProtocolError,
)
from jarvis_ear.journal.turns import BUS_REACHED, BUS_UNREACHABLE
from jarvis_ear.link.backoff import Series, Setback, delay_s
from jarvis_ear.link.login import Login, NoLogin, TokenCache
from jarvis_ear.link.network_thread import NetworkThread
from jarvis_ear.link.supervisor import LinkState, LinkStatus
from jarvis_ear.link.tls_and_tcp import Trust, address, is_exposed
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import MessageSigner

_LOGGER = logging.getLogger(__name__)

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class BusDialer:
    """Opens new links, with a token if the bus requires one. The thread of the bus only.

    Most buses have no login. If the bus is part of the backend, ``tokens`` come from there.
    """

    def __init__(self, link: Callable[[], BusConnection], tokens: TokenCache | None) -> None:
        self._link = link
        self._tokens = tokens

    async def dial(self) -> BusConnection:
        """Return an open link, or raise ``TransportError`` or ``RemoteProtocolError``."""
        if self._tokens is None:
            return await self._open(None)
        try:
            return await self._open(await self._tokens.get() if self._tokens.held else None)
        except Rejected:
            self._tokens.drop()
        try:
            return await self._open(await self._tokens.get())
        except NoLogin:
            raise Rejected("the bus lets nobody in without a token, and has no login") from None
        except Rejected:
            self._tokens.drop()
            raise

    async def _open(self, token: str | None) -> BusConnection:
        link = self._link()
        try:
            await link.open(token)
        except BaseException:
            await link.close()
            raise
        return link


def is_same_server(bus_url: str, backend_url: str) -> bool:
    """Whether both are the same server, which may get the same password."""
    return _server(bus_url) == _server(backend_url)


def _server(url: str) -> tuple[bool, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme in {"https", "wss"}, parts.hostname, parts.port or _PORTS[parts.scheme]


_SETBACKS: Final[Mapping[type[JarvisEarError], Setback]] = {
    Rejected: Setback.REJECTED,
    RemoteProtocolError: Setback.FOREIGN,
}


class BusClient:
    """Keeps a connection to the bus. Any thread may post and announce; neither blocks.

    It owns a thread, so that the bus cannot delay an utterance: ``switch`` is called there. Logs
    one WARNING when a series of failures begins, DEBUG for each repetition, and one INFO when it
    ends.
    """

    is_member = True
    """Whether a bus is configured."""

    def __init__(
        self,
        config: BusOptions,
        backend: BackendOptions,
        switch: Switch,
        timing: Timing | None = None,
    ) -> None:
        refuse_plaintext(config)
        self._url = config.url if urlsplit(config.url).path.strip("/") else _with_path(config.url)
        self._agent_id = backend.agent_id
        self._backend = backend
        self._switch = switch
        self._timing = timing or Timing(connect_s=backend.connect_s, login_s=backend.connect_s)
        self._trust = Trust(backend.ca_file)
        self._seal = MessageSigner(config.key.get_secret_value().encode() or None, time.time)
        self._queue = BusQueue()
        self._modules = BusModules()
        self._status = LinkStatus()
        self._series = Series()
        self._refused = 0
        self._thread = NetworkThread(self._supervise, "jarvis-ear-bus")

    @property
    def state(self) -> LinkState:
        """State of the link to the bus."""
        return self._status.state

    @property
    def modules(self) -> Mapping[str, bool]:
        """Whether each module is enabled, as last reported on the bus; without the microphones."""
        return self._modules.known

    def counters(self) -> Mapping[str, int]:
        """Return how many events were dropped, and how many frames were not valid messages."""
        return {"bus_dropped": self._queue.dropped, "bus_refused": self._refused}

    def health(self) -> Mapping[str, object]:
        """Return the state of the bus and of its modules."""
        return {"bus": str(self.state), "modules": dict(self.modules), **self.counters()}

    def start(self) -> None:
        """Start the thread. May be called once."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the bus, within a deadline."""
        if not self._thread.stop(self._timing.stop_s):
            _LOGGER.warning("the bus did not stop within %.1f s", self._timing.stop_s)

    def leave(self) -> None:
        """Leave the bus without waiting."""
        self._thread.stop(0.0)

    def post(self, event: wire.Event) -> None:
        """Send an event to all members of the bus."""
        self._queue.put(event)

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Request that a module (one of ``wire.MODULES``) is switched."""
        self._queue.put(wire.ModuleControl(module, enabled))

    def announce(self, by: Sequence[str]) -> None:
        """Announce whether the microphone is open, and if not, who closed it."""
        now_s = time.time()
        self.post(wire.announced(self._agent_id, enabled=not by, by=by, now_s=now_s))

    async def _supervise(self, stop: asyncio.Event) -> None:
        keeping = asyncio.create_task(self._keep(self._dialer()))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({keeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
        broken = keeping.done()
        for task in (keeping, stopped):
            task.cancel()
        await asyncio.wait({keeping, stopped})
        self._status.missed()
        if broken:
            keeping.result()

    async def _keep(self, dialer: BusDialer) -> None:
        while True:
            try:
                link = await dialer.dial()
            except JarvisEarError as error:
                wait_s = self._failed(error)
            else:
                wait_s = await self._live(link)
            await asyncio.sleep(wait_s)

    async def _live(self, link: BusConnection) -> float:
        """Run one link to its end; return the seconds to wait before the next."""
        since = time.monotonic()
        self._reached()
        talk = BusSession(
            link,
            self._queue,
            self._switch,
            self._modules,
            announce=self.announce,
            on_refused=self._count_refused,
        )
        try:
            await talk.run(self._timing.ping_s)
        except Disconnected as error:
            self._series.held(time.monotonic() - since)
            return self._failed(error)
        finally:
            await link.close()
        return 0.0

    def _reached(self) -> None:
        first = self._status.state is LinkState.TRYING
        self._status.reached()
        level = logging.INFO if self._series.worth_an_all_clear() or first else logging.DEBUG
        fields = BUS_REACHED.fields(BUS=address(self._url))
        _LOGGER.log(level, "bus reached at %s", address(self._url), extra=fields)

    def _failed(self, error: JarvisEarError) -> float:
        setback = _SETBACKS.get(type(error), Setback.UNREACHABLE)
        wait_s = delay_s(setback, self._series.failed(setback), random.random())  # noqa: S311 - jitter
        level = logging.WARNING if self._series.worth_a_warning(setback) else logging.DEBUG
        fields = BUS_UNREACHABLE.fields(
            BUS=address(self._url), REASON=error, RETRY_MS=round(wait_s * 1000)
        )
        words = "bus not usable: %s (%s); next attempt in %.1f s"
        _LOGGER.log(level, words, error, address(self._url), wait_s, extra=fields)
        (self._status.refused if setback is Setback.REJECTED else self._status.missed)()
        return wait_s

    def _count_refused(self) -> None:
        self._refused += 1

    def _dialer(self) -> BusDialer:
        tokens = None
        if is_same_server(self._url, self._backend.url):
            password = self._backend.password.get_secret_value()
            url = self._backend.url.rstrip("/")
            login = Login(url, password, self._timing.login_s, self._trust)
            given = self._backend.token.get_secret_value()
            tokens = TokenCache(login.token, time.monotonic, given)
        return BusDialer(self._link, tokens)

    def _link(self) -> BusConnection:
        return BusConnection(self._url, self._seal, self._timing, self._trust)


def _with_path(url: str) -> str:
    return url.rstrip("/") + wire.PATH


def refuse_plaintext(config: BusOptions) -> None:
    """Raise ConfigError for a bus that others can read, unless the configuration allows it."""
    if is_exposed(config.url) and not config.allow_plaintext:
        raise ConfigError(
            f"bus.url: {address(config.url)} could be read and forged on the way, "
            "expected wss:// (or bus.allow_plaintext = true, for a network you trust)"
        )
