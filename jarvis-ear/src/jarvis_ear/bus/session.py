"""BusSession: the messages of the event bus on one link, and what the ear does about them."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, Protocol, TypeAlias

import aiohttp

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import Disconnected, RemoteProtocolError
from jarvis_ear.journal.turns import BUS_REACHED, BUS_UNREACHABLE
from jarvis_ear.link.connection import Peer, Setback
from jarvis_ear.link.mailbox import Mailbox
from jarvis_ear.link.network_thread import run_together
from jarvis_ear.link.websocket import WebSocketLink
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.dialect import Endpoint, Frame, Handshake, bearer
from jarvis_ear.wires.event_bus import BusPong, Event, Message, MessageSigner, ModuleControl
from jarvis_ear.wires.messages import Ping

QUEUE_EVENTS: Final = 64
"""A turn makes three, a mute one: enough for many hours of an evening without a bus."""

MAX_FRAME_BYTES: Final = 256 * 1024
"""Four times the characters of the longest event that the ear reads."""

PEER: Final = Peer(
    "bus",
    "BUS",
    BUS_REACHED,
    dict.fromkeys(Setback, BUS_UNREACHABLE),
    MAX_FRAME_BYTES,
    must_answer=True,
    is_reset=False,
)

ToBus: TypeAlias = Event | ModuleControl | BusPong
BusLink: TypeAlias = WebSocketLink[ToBus, Message]


class BusHandshake(Handshake):
    """Handshake of the event bus: a token, if one is needed, is sent as a header."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def find(self, _session: aiohttp.ClientSession, token: str | None) -> Endpoint:
        """Return the endpoint."""
        return Endpoint(self._url, bearer(token))


class BusDialect:
    """Dialect of the event bus. Owned by one link; the signer outlives it."""

    is_open = True
    """The bus has no greeting."""

    def __init__(self, signer: MessageSigner) -> None:
        self._signer = signer

    def hello(self) -> tuple[Frame, ...]:
        """Return no frames."""
        return ()

    def say(self, message: ToBus | Ping) -> tuple[Frame, ...]:
        """Return the signed frame for ``message``."""
        match message:
            case Ping():
                payload = wire.ping()
            case BusPong(now_s):
                payload = wire.pong(now_s)
            case _:
                payload = wire.encode(message)
        return (self._signer.write(payload),)

    def hear(self, frame: Frame) -> tuple[Message, ...]:
        """Return the message of a frame if its signature is valid."""
        match frame:
            case str():
                payload = wire.read(frame)
                self._signer.check(payload)
                return (wire.decode(payload),)
            case bytes():
                raise RemoteProtocolError("a binary frame; expected JSON")
            case _:
                return ()


class Switch(Protocol):
    """What the bus may make the ear do. A call may take as long as a write to the disk."""

    def turn(self, *, enabled: bool) -> bool:
        """Unmute or mute as far as the bus may; return whether the result is as requested."""
        ...

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call ``listener`` with who muted the ear, before any later change."""
        ...

    def request(self, kind: str) -> None:
        """Carry out one of ``wire.REQUESTS``, if the bus may request it."""
        ...

    def claim(self, data: Mapping[str, Any]) -> None:
        """Pass on what an ear tells the others about a wake word: anything may come."""
        ...


class BusSession:
    """Handles the messages of each link, and sends the queued ones. The thread of the bus only."""

    def __init__(
        self,
        events: Mailbox[Event | ModuleControl],
        switch: Switch,
        timing: Timing,
        announce: Callable[[Sequence[str]], None],
        agent_id: str,
    ) -> None:
        self._events = events
        self._switch = switch
        self._timing = timing
        self._announce = announce
        self._agent_id = agent_id
        self._refused = 0
        self._link: BusLink | None = None
        self.modules: Mapping[str, bool] = {}
        """Whether each module but the microphones is enabled, as last reported on the bus. Any
        thread may read it."""

    @property
    def refused(self) -> int:
        """Number of frames that were invalid or found no room. Any thread may read it."""
        link = self._link
        return self._refused + (0 if link is None else link.refused + link.overflows)

    async def serve(self, link: BusLink) -> None:
        """Announce the state, then exchange messages until the link ends: ``Disconnected``."""
        self._link = link
        wake = asyncio.Event()
        try:
            with self._events.waking(wake.set):
                self._switch.tell(self._announce)
                await run_together(link.run(), self._read(link), self._write(link, wake))
        finally:
            self._refused, self._link = self.refused, None

    def note(self, message: Message) -> None:
        """Note the state of a module, if ``message`` reports one."""
        status = wire.module_status(message) if isinstance(message, Event) else None
        if status is not None and status[0] != wire.MICROPHONE:
            self.modules = {**self.modules, status[0]: status[1]}

    async def _read(self, link: BusLink) -> NoReturn:
        while True:
            message = await link.received.get()
            if isinstance(message, wire.BusPing):
                await link.send(BusPong(time.time()))
                continue
            self.note(message)
            if isinstance(message, Event) and message.type == wire.CLAIM:
                self._switch.claim(message.data)
            if kind := wire.request_of(message, self._agent_id):
                self._switch.request(kind)
            wanted = wire.microphone_order(message)
            if wanted is not None and not self._switch.turn(enabled=wanted):
                self._switch.tell(self._announce)  # the bus announced another state

    async def _write(self, link: BusLink, wake: asyncio.Event) -> NoReturn:
        while True:
            wake.clear()
            while (event := self._events.take()) is not None:
                await link.send(event)
                await self._flush(link)
            await wake.wait()

    async def _flush(self, link: BusLink) -> None:
        """Wait until the socket has taken the event, so that the queue stays bounded."""
        try:
            async with asyncio.timeout(self._timing.dead_s):
                await link.flushed()
        except TimeoutError:
            raise Disconnected(f"the bus does not read for {self._timing.dead_s:g} s") from None
