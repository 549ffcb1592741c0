"""SatelliteLink: one connection of Home Assistant to the ear, and the socket that it comes from."""

import asyncio
import ipaddress
import logging
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from wyoming.error import Error
from wyoming.event import Event
from wyoming.ping import Pong as PongEvent
from wyoming.snd import Played

from jarvis_ear import __version__
from jarvis_ear.config import WyomingOptions
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, RemoteProtocolError
from jarvis_ear.journal import turns as kinds
from jarvis_ear.link.connection import HOME_ASSISTANT, BackendLink
from jarvis_ear.link.registry import Words
from jarvis_ear.link.tls_and_tcp import error_text
from jarvis_ear.log.throttle import Throttle
from jarvis_ear.wires.messages import AudioStart, Ping, Pong, ToBackend
from jarvis_ear.wires.wyoming import (
    MAX_HEADER_BYTES,
    SatelliteDialect,
    describe_ear,
    encode,
    receive,
)

_LOGGER = logging.getLogger(__name__)

MAX_VISITORS: Final = 8
"""Connections that have not asked for the satellite yet. Home Assistant has one or two."""

VISIT_S: Final = 10.0
"""Seconds until such a connection must ask something; Home Assistant asks at once."""

LINGER_S: Final = 1.0
"""Seconds that a refused server has to read why."""

ALIVE_S: Final = 7.0
"""Seconds since its last event within which a server keeps the ear to itself: Home Assistant sends
a ping every 2 s, and answers ours, which come every 5 s."""

ASSUMED_S: Final = 1.0
"""Seconds after which a server that has never answered a ping counts as one that answers none;
Home Assistant answers in milliseconds."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class _Refused(Exception):
    """A connection cannot run the satellite now; the text says why."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A connection to the ear. Network thread only."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: str
    """Address of the other machine."""

    @property
    def is_gone(self) -> bool:
        """Whether the other end has closed the connection, or it was lost."""
        return self.reader.at_eof() or self.writer.is_closing()

    async def read(self) -> Event | None:
        """Return the next event; None at the end. Raises ``RemoteProtocolError``."""
        return await receive(self.reader)

    def write(self, event: Event) -> None:
        """Pass an event to the socket."""
        self.writer.write(encode(event))

    async def refuse(self, reason: str) -> None:
        """Say why, and wait until the other end has closed the connection, or for ``LINGER_S``.

        To close it with unread data would reset it: the other end might not get the reason.
        """
        self.write(Error(reason, "refused").event())
        with suppress(OSError, TimeoutError):
            self.writer.write_eof()
            async with asyncio.timeout(LINGER_S):
                while await self.reader.read(MAX_HEADER_BYTES):
                    pass

    def drop(self) -> None:
        """Drop the connection and everything that was not sent."""
        self.writer.transport.abort()


class SatelliteSocket:
    """Listens for Home Assistant, and hands the connection that runs the satellite to a link.

    Network thread only. Every connection may ask what the ear is (``describe``); the one that sends
    ``run-satellite`` becomes the link. There is one at a time: a second one is refused while the
    first is alive. One that pauses the satellite may run it again later.
    Bound: ``MAX_VISITORS`` connections besides the link; one more is dropped.
    Refused connections are counted (``connections_refused``), and logged at growing intervals.
    """

    def __init__(
        self, options: WyomingOptions, name: str, counted: "Counter[str]", words: Words
    ) -> None:
        self._options = options
        self._name = name
        self._words = words
        self._allowed = [ipaddress.ip_network(each) for each in options.allow] or _LOOPBACK
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()
        self._paused: asyncio.Task[None] | None = None  # one of them
        self._chosen: asyncio.Queue[Visitor] = asyncio.Queue(1)
        self._throttle = Throttle()
        self._link: SatelliteLink | None = None
        self._note = "Home Assistant has not connected"
        self._counted = counted

    def make_link(self, timing: Timing, wake: Callable[[], None]) -> "SatelliteLink":
        """Make a link for the next connection."""
        return SatelliteLink(self, timing, wake)

    @property
    def info(self) -> Event:
        """What the ear is."""
        return describe_ear(self._name, __version__, self._words())

    async def take(self, link: "SatelliteLink", within_s: float) -> Visitor:
        """Return the connection for ``link``; raise ``ConnectFailed`` if none comes in time."""
        await self._listen()
        try:
            async with asyncio.timeout(within_s):
                visitor = await self._chosen.get()
                while visitor.is_gone:
                    visitor.drop()
                    visitor = await self._chosen.get()
        except TimeoutError:
            raise ConnectFailed(self._note) from None
        self._link = link
        return visitor

    def pause(self, visitor: Visitor) -> None:
        """Let a connection wait until it runs the satellite again. One at a time may."""
        if self._paused is not None:
            self._paused.cancel()
        self._paused = self._visit(visitor, None)

    def leave(self, reason: str) -> None:
        """Note that the link is over, and why."""
        self._link, self._note = None, f"Home Assistant has not connected again ({reason})"

    async def close(self) -> None:
        """Close the socket and all connections that no link has."""
        for visit in self._visits:
            visit.cancel()
        if self._visits:
            await asyncio.wait(self._visits)
        if not self._chosen.empty():
            self._chosen.get_nowait().drop()
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _listen(self) -> None:
        if self._server is not None:
            return
        host, port = host_and_port(self._options.uri)
        try:
            self._server = await asyncio.start_server(
                self._on_visit, host, port, limit=MAX_HEADER_BYTES, backlog=MAX_VISITORS
            )
        except OSError as error:
            raise ConnectFailed(f"cannot listen: {error.strerror or error}") from None
        _LOGGER.info("Home Assistant can connect to %s", ", ".join(_addresses(self._server)))

    def _on_visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = str(writer.get_extra_info("peername", ("?",))[0])
        visitor = Visitor(reader, writer, address)
        if not self._is_allowed(address):
            self._warn(visitor, "its address is not in backend.wyoming.allow")
            visitor.drop()
        elif len(self._visits) >= MAX_VISITORS:
            self._warn(visitor, f"{MAX_VISITORS} others are connected")
            visitor.drop()
        else:
            self._visit(visitor, VISIT_S)

    def _visit(self, visitor: Visitor, within_s: float | None) -> asyncio.Task[None]:
        visit = asyncio.create_task(self._receive(visitor, within_s))
        self._visits.add(visit)
        visit.add_done_callback(self._visits.discard)
        return visit

    def _is_allowed(self, address: str) -> bool:
        try:
            peer = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self._allowed)

    async def _receive(self, visitor: Visitor, within_s: float | None) -> None:
        """Answer a connection until it runs the satellite, ends, or breaks the protocol.

        It must ask something every ``within_s`` seconds, unless that is None.
        """
        is_chosen = False
        try:
            while not is_chosen:
                async with asyncio.timeout(within_s):
                    event = await visitor.read()
                    if event is None:
                        break
                    is_chosen = self._answer(visitor, event)
                    await visitor.writer.drain()
        except TimeoutError:
            self._warn(visitor, f"it asked nothing for {within_s:g} s")
        except RemoteProtocolError as error:
            self._warn(visitor, str(error))
        except _Refused as error:
            self._warn(visitor, str(error))
            await visitor.refuse(str(error))
        except OSError:
            pass
        finally:
            if not is_chosen:
                visitor.writer.close()

    def _answer(self, visitor: Visitor, event: Event) -> bool:
        """Answer an event; return whether the connection is now the link's."""
        match event.type:
            case "describe":
                visitor.write(self.info)
            case "ping":
                visitor.write(PongEvent(_text(event)).event())
            case "run-satellite":
                return self._choose(visitor)
        return False

    def _choose(self, visitor: Visitor) -> bool:
        link = self._link
        if link is not None and link.is_alive:
            raise _Refused("another server uses the satellite")
        if link is not None:
            link.abort("a newer connection replaces it")
        if not self._chosen.empty():
            older = self._chosen.get_nowait()
            older.write(Error("a newer connection replaces this one", "refused").event())
            older.writer.close()
        self._chosen.put_nowait(visitor)
        return True

    def _warn(self, visitor: Visitor, reason: str) -> None:
        self._counted["connections_refused"] += 1
        is_allowed = self._throttle.allows(asyncio.get_running_loop().time())
        level = logging.WARNING if is_allowed else logging.DEBUG
        fields = kinds.WYOMING_REFUSED.fields(REASON=reason)
        words = "connection from %s to the satellite is refused: %s"
        _LOGGER.log(level, words, visitor.address, reason, extra=fields)


class SatelliteLink(BackendLink):
    """A link that Home Assistant opened. The network thread only.

    It has two tasks: one reads, one writes the events of a queue (at most 4096; one more ends the
    link). A server that is silent for the time of a dead link is replaced.
    """

    def __init__(
        self, satellite: SatelliteSocket, timing: Timing, wake: Callable[[], None]
    ) -> None:
        super().__init__(timing, wake, peer=HOME_ASSISTANT)
        self._satellite = satellite
        self._dialect = SatelliteDialect()
        self._visitor: Visitor | None = None
        self._heard_at = 0.0
        self._is_paused = False

    @property
    def usable(self) -> bool:
        """Whether a message sent now goes to the socket."""
        return self._visitor is not None and not self._keepalive.ended.done()

    @property
    def is_alive(self) -> bool:
        """Whether the server has said something lately."""
        age_s = asyncio.get_running_loop().time() - self._heard_at
        return self.usable and age_s < ALIVE_S

    async def open(self, _token: str | None) -> None:
        """Wait for Home Assistant, or raise ``ConnectFailed``."""
        self._visitor = visitor = await self._satellite.take(self, self._timing.connect_s)
        try:
            self._sockets.adopt(visitor.writer.get_extra_info("socket"))
        except OSError as error:
            raise ConnectFailed(f"connection failed: {error_text(error)}") from None
        self._hear_from()
        self._begin(self._read(visitor))
        self._begin(self._write(visitor))

    async def played(self) -> None:
        """Tell Home Assistant that a reply or an announcement was played."""
        if self.usable:
            self._enqueue((Played().event(),))

    async def close(self) -> None:
        """End the link. Bounded; never raises."""
        self.abort("closed")
        await self._release()

    async def _connect(self, session: aiohttp.ClientSession, token: str | None) -> None:
        """Do nothing: Home Assistant connects."""

    async def _send(self, message: ToBackend) -> None:
        self._enqueue(self._dialect.say(message))
        if isinstance(message, AudioStart) and not self._dialect.answers_pings:
            asyncio.get_running_loop().call_later(ASSUMED_S, self._assume)

    def _assume(self) -> None:
        if self.usable:
            for message in self._dialect.assume():
                self._deliver(message)

    async def _ping(self) -> None:
        await self.send(Ping())

    def _drop(self) -> None:
        if self._visitor is not None:
            visitor, self._visitor = self._visitor, None
            if self._is_paused:
                self._satellite.pause(visitor)
            else:
                visitor.drop()
            self._satellite.leave(self._keepalive.ended.result())

    async def _release(self) -> None:
        await self._end_tasks()

    async def _write(self, visitor: Visitor) -> None:
        """Write until the socket raises an exception, which ends the link."""
        with suppress(OSError):
            while True:
                visitor.write(await self._unsent.get())
                await visitor.writer.drain()
                self._unsent.task_done()

    async def _read(self, visitor: Visitor) -> None:
        try:
            while (event := await visitor.read()) is not None:
                self._hear_from(pong=event.type == "pong")
                self._hear(event)
                if self._is_paused:  # what follows is for the socket to read
                    return
                await asyncio.sleep(0)  # a burst of events is processed one by one
            self._keepalive.end(f"{self._peer.name} closed the link")
        except RemoteProtocolError as error:
            self._keepalive.end(f"{self._peer.name} breaks the protocol: {error}")

    def _hear_from(self, *, pong: bool = False) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        self._keepalive.heard(pong=pong)

    def _hear(self, event: Event) -> None:
        match event.type:
            case "describe":
                self._enqueue((self._satellite.info,))
            case "ping":
                self._enqueue((PongEvent(_text(event)).event(),))
            case "pause-satellite":
                self._is_paused = True
                self._keepalive.end(f"{self._peer.name} has paused the satellite")
            case _:
                self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        try:
            messages = self._dialect.hear(event)
        except RemoteProtocolError as error:
            self._refuse(error)
            return
        for message in messages:
            if not isinstance(message, Pong):
                self._deliver(message)


def host_and_port(uri: str) -> tuple[str, int]:
    """Return host and port of a ``tcp://`` address, which the options have checked."""
    parts = urlsplit(uri)
    return parts.hostname or "", parts.port or 0


def _addresses(server: asyncio.Server) -> list[str]:
    """Return the addresses on which a server listens."""
    return [
        f"tcp://{'[{}]' if each.family is socket.AF_INET6 else '{}'}:{{}}".format(
            *each.getsockname()[:2]
        )
        for each in server.sockets
    ]


def _text(event: Event) -> str | None:
    text = event.data.get("text")
    return text if isinstance(text, str) else None
