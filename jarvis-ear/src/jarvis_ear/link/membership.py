"""LinkClient and Membership: the link to a server besides the backend, if one is configured."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from jarvis_ear.config import Config
from jarvis_ear.link.connection import AnyLink, Peer
from jarvis_ear.link.login import Dialer
from jarvis_ear.link.network_thread import NetworkThread, run_together
from jarvis_ear.link.supervisor import LinkStatus, Supervisor


class LinkClient(ABC, Generic[AnyLink]):
    """Keeps a link to one server, with back-off, in its own thread. Used once.

    Any thread may start and stop it. Because of its thread, the server cannot delay an utterance.
    """

    def __init__(self, place: str, peer: Peer, thread: str, stop_s: float) -> None:
        """``place`` is the address of the server, safe to show; ``thread`` names the thread.

        ``stop_s`` is the maximum of seconds that ``stop`` takes.
        """
        self._place = place
        self._peer = peer
        self._stop_s = stop_s
        self._status = LinkStatus()
        self._thread = NetworkThread(self._run, thread)

    def start(self) -> None:
        """Start the thread. May be called once."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the server, within a deadline."""
        self._thread.stop(self._stop_s)

    def leave(self) -> None:
        """Leave the server without waiting."""
        self._thread.stop(0.0)

    @abstractmethod
    def health(self) -> Mapping[str, object]:
        """Return the state of the link. Any thread."""

    @abstractmethod
    def counters(self) -> Mapping[str, int]:
        """Return what was dropped or refused. Any thread."""

    @abstractmethod
    def _dialer(self) -> Dialer[AnyLink]:
        """Return a dialer for the links to the server."""

    @abstractmethod
    async def _serve(self, link: AnyLink) -> None:
        """Use a link until it ends: ``Disconnected``."""

    async def _run(self, stop: asyncio.Event) -> None:
        supervisor = Supervisor(
            self._dialer(),
            self._serve,
            self._status,
            self._place,
            clock=time.monotonic,
            peer=self._peer,
        )
        try:
            await run_together(supervisor.run(), stop.wait())
        finally:
            self._status.end()


AnyClient = TypeVar("AnyClient", bound=LinkClient[Any])


class Membership(ABC, Generic[AnyClient]):
    """The client of a server, if one is configured; a reload replaces it.

    Owned by the main thread, which starts, changes and stops it; any thread may post, without
    blocking. Those threads read ``_client`` once, because a reload may replace it meanwhile.
    """

    NAME: ClassVar[str]
    """Name of the server in the status report."""
    COUNTERS: ClassVar[tuple[str, ...]]
    """Names of the counters of a client."""

    def __init__(self, options: Config) -> None:
        self._client = self._make(options)
        self._settings = self._settings_of(options)

    def prepare(self, options: Config) -> Callable[[], None]:
        """Check new options and return a function that applies them; or raise ``ConfigError``."""
        client, settings = self._make(options), self._settings_of(options)

        def apply() -> None:
            self._permit(options)
            if settings != self._settings:
                self._settings = settings
                self._replace(client)

        return apply

    def health(self) -> Mapping[str, object]:
        """Return the state of the link. Any thread."""
        client = self._client
        return {self.NAME: "off"} if client is None else client.health()

    def counters(self) -> Mapping[str, int]:
        """Return what was dropped or refused. Any thread."""
        client = self._client
        return dict.fromkeys(self.COUNTERS, 0) if client is None else client.counters()

    def __enter__(self) -> Self:
        if self._client is not None:
            self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.stop()

    @abstractmethod
    def _make(self, options: Config) -> AnyClient | None:
        """Return a client, or None without a server; raise ``ConfigError`` for unfit options."""

    @abstractmethod
    def _settings_of(self, options: Config) -> tuple[object, ...]:
        """Return the options that a connection depends on: only their change replaces it."""

    @abstractmethod
    def _permit(self, options: Config) -> None:
        """Change what the server may make the ear do."""

    def _replace(self, client: AnyClient | None) -> None:
        """Replace the client. What is queued is dropped: the new one reports the state."""
        if self._client is not None:
            self._client.leave()
        self._client = client
        if client is not None:
            client.start()
