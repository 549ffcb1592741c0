"""BusSession: one connection to the event bus, and the exchange on it."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NoReturn, Protocol

import aiohttp

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, Disconnected, Rejected, RemoteProtocolError
from jarvis_ear.link.tls_and_tcp import Sockets, Trust, WebSocket, error_text
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import Event, MessageSigner, ModuleControl

_LOGGER = logging.getLogger(__name__)


class BusModules:
    """Last reported state of each module except the microphones.

    The thread of the bus writes; any thread may read.
    """

    def __init__(self) -> None:
        self.known: Mapping[str, bool] = {}
        """Whether it is enabled, for each module that was reported."""

    def note(self, message: wire.Message) -> None:
        """Note the state of a module, if ``message`` reports one."""
        status = wire.module_status(message) if isinstance(message, wire.Event) else None
        if status is not None and status[0] != wire.MICROPHONE:
            self.known = {**self.known, status[0]: status[1]}


QUEUE_EVENTS: Final = 64
"""A turn makes three, a mute one: enough for many hours of an evening without a bus."""


class BusQueue:
    """Queue of events to the thread of the bus. Any thread may put one, without blocking.

    Bound: ``QUEUE_EVENTS``. Policy: the oldest is dropped. Counter: ``dropped``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Event | ModuleControl] = deque()
        self._wake: Callable[[], None] = _nobody
        self.dropped = 0

    def put(self, event: Event | ModuleControl) -> None:
        """Append ``event`` to the queue."""
        with self._lock:
            if len(self._waiting) >= QUEUE_EVENTS:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(event)
            self._wake()

    def take(self) -> Event | ModuleControl | None:
        """Remove and return the oldest event, or None."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def listen(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after each event, under the lock: it must not block."""
        with self._lock:
            self._wake = wake

    def unlisten(self) -> None:
        """Remove the listener."""
        self.listen(_nobody)


def _nobody() -> None:
    """Do nothing: the listener while the thread of the bus does not run."""


MAX_FRAME_BYTES: Final = 256 * 1024
"""Four times the characters of the longest event we read; a longer frame ends the connection."""


class BusConnection:
    """One connection to the bus. Not reusable; the thread of the bus only."""

    def __init__(self, url: str, seal: MessageSigner, timing: Timing, trust: Trust) -> None:
        self._url = url
        self._seal = seal
        self._timing = timing
        self._sockets = Sockets(trust)
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self, token: str | None) -> None:
        """Connect, or raise ``Rejected``, ``ConnectFailed`` or ``RemoteProtocolError``."""
        self._session = self._sockets.session()
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with asyncio.timeout(self._timing.connect_s):
                self._socket = await self._session.ws_connect(
                    self._url, headers=shown, max_msg_size=MAX_FRAME_BYTES, autoclose=False
                )
        except RemoteProtocolError:
            raise
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status) from None
        except TimeoutError:
            raise ConnectFailed(f"no connection within {self._timing.connect_s:g} s") from None
        except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
            raise ConnectFailed(f"connection failed: {error_text(error)}") from None

    async def say(self, payload: Mapping[str, Any]) -> None:
        """Pass a message to the socket, or raise ``Disconnected``."""
        assert self._socket is not None  # noqa: S101 - a link is opened before use
        try:
            async with asyncio.timeout(self._timing.dead_s):
                await self._socket.send_str(self._seal.write(payload))
        except (OSError, aiohttp.ClientError) as error:  # TimeoutError is an OSError
            raise Disconnected(f"the bus takes nothing: {error_text(error)}") from None

    async def hear(self) -> wire.Message:
        """Return the next message; raise ``RemoteProtocolError`` for an invalid one.

        Raises ``Disconnected`` at the end, and when the bus has been silent for too long.
        """
        assert self._socket is not None  # noqa: S101 - as above
        try:
            async with asyncio.timeout(self._timing.dead_s):
                frame = await self._socket.receive()
        except TimeoutError:
            raise Disconnected(f"no word of the bus for {self._timing.dead_s:g} s") from None
        if frame.type is aiohttp.WSMsgType.BINARY:
            raise RemoteProtocolError("a binary frame; expected JSON")
        if frame.type is not aiohttp.WSMsgType.TEXT:
            raise Disconnected("the link is gone")
        payload = wire.read(frame.data)
        self._seal.check(payload)
        return wire.decode(payload)

    async def close(self) -> None:
        """End the connection, in order if the peer cooperates. Bounded; never raises."""
        if self._socket is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.close_s):
                    await self._socket.close()
        self._sockets.reset_on_close()
        if isinstance(self._socket, WebSocket):
            self._socket.abort()
        if self._session is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.close_s):
                    await self._session.close()


def _refusal(status: int) -> ConnectFailed | Rejected | RemoteProtocolError:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Rejected("the bus does not let us in")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ConnectFailed(f"connection failed: status {status}")
    return RemoteProtocolError(f"the bus answered with status {status}; expected an upgrade")


class Switch(Protocol):
    """What the bus needs to mute and unmute. A call may take as long as a write to the disk."""

    def turn(self, *, enabled: bool) -> bool:
        """Unmute or mute as far as the bus may; return whether the result is as requested."""
        ...

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call ``listener`` with those who mute, before any later change."""
        ...


class BusSession:
    """Handles the messages of one link, and sends the queued ones. The thread of the bus only."""

    def __init__(
        self,
        link: BusConnection,
        queue: BusQueue,
        switch: Switch,
        modules: BusModules,
        *,
        announce: Callable[[Sequence[str]], None],
        on_refused: Callable[[], None],
    ) -> None:
        self._link = link
        self._queue = queue
        self._switch = switch
        self._modules = modules
        self._announce = announce
        self._on_refused = on_refused
        self._news = asyncio.Event()

    async def run(self, ping_s: float) -> None:
        """Announce the state, then exchange messages; raise ``Disconnected`` when the link ends."""
        loop = asyncio.get_running_loop()
        self._queue.listen(lambda: _call_soon(loop, self._news.set))
        self._switch.tell(self._announce)
        tasks = [
            asyncio.create_task(work) for work in (self._hear(), self._say(), self._ask(ping_s))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._queue.unlisten()
            over = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in over:
            task.result()

    async def _hear(self) -> NoReturn:
        while True:
            try:
                await self._take(await self._link.hear())
            except RemoteProtocolError as error:
                self._on_refused()
                _LOGGER.debug("the bus said what is no message: %s", error)
            await asyncio.sleep(0)  # let the other tasks run, however much the bus sends

    async def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.BusPing):
            await self._link.say(wire.pong(time.time()))
            return
        self._modules.note(message)
        wanted = wire.microphone_order(message)
        if wanted is not None and not self._switch.turn(enabled=wanted):
            self._switch.tell(self._announce)  # the bus announced another state

    async def _say(self) -> NoReturn:
        while True:
            self._news.clear()
            while (event := self._queue.take()) is not None:
                await self._link.say(wire.encode(event))
            await self._news.wait()

    async def _ask(self, every_s: float) -> NoReturn:
        while True:
            await self._link.say(wire.ping())
            await asyncio.sleep(every_s)


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(call)
