"""WebSocketLink: one connection to the backend over a WebSocket."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, NoReturn

import aiohttp

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import (
    ClosedInOrder,
    ConnectFailed,
    Disconnected,
    Rejected,
    RemoteProtocolError,
)
from jarvis_ear.link.connection import MAX_UNREAD
from jarvis_ear.link.tls_and_tcp import Sockets, Trust, WebSocket, error_text
from jarvis_ear.wires.dialect import Dialect, Frame, Handshake, PingFrame, PongFrame
from jarvis_ear.wires.messages import FromBackend, Ping, Pong, ToBackend
from jarvis_ear.wires.socketio import MAX_MESSAGE_BYTES

_LOGGER = logging.getLogger(__name__)

MAX_UNSENT: Final = 4096
"""Maximum unsent frames: more than the longest utterance in pieces of 20 ms."""

_REFUSALS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

_IN_ORDER: Final = (0, aiohttp.WSCloseCode.OK, aiohttp.WSCloseCode.GOING_AWAY)
"""Close codes of a regular end (RFC 6455, 7.4.1); 0: the server gave none."""


class WebSocketLink:
    """One connection to the backend. Not reusable. The network thread only.

    It has two tasks: one reads, one writes the frames of a queue (at most 4096; one more ends the
    link). ``received`` holds at most 256 messages; one more ends the link. Refused frames are
    counted (``refused``). With ``assumed_after_s``, a backend without a greeting is assumed to
    speak the wire after that many seconds.
    """

    def __init__(
        self,
        door: Handshake,
        dialect: Dialect,
        timing: Timing,
        wake: Callable[[], None],
        trust: Trust | None = None,
        *,
        assumed_after_s: float | None = None,
    ) -> None:
        self.received: asyncio.Queue[FromBackend] = asyncio.Queue(MAX_UNREAD)
        """Messages from the backend, in order. ``wake`` is called after each."""
        self.remark = ""
        """What is unusual about this connection, for the log; empty if nothing is."""
        self.refused = 0
        """Number of frames that no backend should send."""
        self.strays = 0
        """Always 0: these wires name no agent, because each connection has one."""
        self.overflows = 0
        """Number of messages that found no room; one ends the link."""
        self._assumed_after_s = assumed_after_s
        self._door = door
        self._dialect = dialect
        self._timing = timing
        self._wake = wake
        self._sockets = Sockets(trust)
        self._session: aiohttp.ClientSession | None = None
        self._socket: WebSocket | None = None
        self._unsent: asyncio.Queue[Frame] = asyncio.Queue(MAX_UNSENT)
        self._vigil = Keepalive(timing)
        self._greeted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def usable(self) -> bool:
        """Whether a message sent now goes to the socket."""
        return self._greeted.is_set() and not self._vigil.ended.done()

    async def open(self, token: str | None) -> None:
        """Connect, or raise ``Rejected``, ``ConnectFailed`` or ``RemoteProtocolError``."""
        self._session = self._sockets.session()
        try:
            async with asyncio.timeout(self._timing.connect_s):
                await self._connect(self._session, token)
        except (Rejected, ConnectFailed, RemoteProtocolError):
            raise
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status) from None
        except TimeoutError:
            raise ConnectFailed(f"no connection within {self._timing.connect_s:g} s") from None
        except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
            raise ConnectFailed(f"connection failed: {error_text(error)}") from None
        if not self.usable:
            raise ConnectFailed("the backend closed the connection at once")
        self._vigil.heard()

    async def send(self, message: ToBackend) -> None:
        """Queue a message for the socket, or raise ``Disconnected``. Delivery is not guaranteed."""
        if not self.usable:
            raise Disconnected("the link is down")
        for frame in self._dialect.say(message):
            self._post(frame)

    async def flushed(self) -> None:
        """Wait, without a time limit, until the socket has taken everything that was sent."""
        await self._unsent.join()

    async def run(self) -> NoReturn:
        """Monitor the link until it ends, then raise ``Disconnected``."""
        await self._vigil.watch(lambda: self.send(Ping()))

    def abort(self, reason: str) -> None:
        """End the link now with a reset; unsent messages are dropped."""
        self._vigil.end(reason)
        self._sockets.reset_on_close()
        if self._socket is not None:
            self._socket.abort()

    async def close(self) -> None:
        """Abort, and clean up. Bounded; never raises."""
        self.abort("closed")
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._timing.close_s)
        if self._session is None:
            return
        with suppress(Exception):  # the link has ended: no error matters any more
            async with asyncio.timeout(self._timing.close_s):
                if self._socket is not None:
                    await self._socket.close()  # already reset: this releases it in the session
                await self._door.leave(self._session)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.close_s):
                await self._session.close()

    async def _connect(self, session: aiohttp.ClientSession, token: str | None) -> None:
        entrance = await self._door.find(session, token)
        offered = () if entrance.subprotocol is None else (entrance.subprotocol,)
        opened = await session.ws_connect(
            entrance.url,
            protocols=offered,
            headers=entrance.headers,
            max_msg_size=MAX_MESSAGE_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=self._timing.close_s),
            autoclose=False,
            autoping=False,
        )
        if not isinstance(opened, WebSocket) or opened.protocol != entrance.subprotocol:
            raise RemoteProtocolError("the backend accepts without the token that it was shown")
        self._socket = opened
        self._begin(self._read(opened))
        self._begin(self._write(opened))
        for frame in self._dialect.hello():
            self._post(frame)
        await self._wait_for_greeting()

    def _begin(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._vigil.end("link lost"))

    async def _wait_for_greeting(self) -> None:
        self._look_for_greeting()
        greeting = asyncio.create_task(self._greeted.wait())
        try:
            either: set[asyncio.Future[str] | asyncio.Task[bool]] = {greeting, self._vigil.ended}
            await asyncio.wait(
                either, timeout=self._assumed_after_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            greeting.cancel()
        if not self._greeted.is_set() and not self._vigil.ended.done():
            self.remark = f"it has not said for {self._assumed_after_s:g} s whether it is ready"
            self._greeted.set()

    def _look_for_greeting(self) -> None:
        if self._dialect.is_open:
            self._greeted.set()

    def _post(self, frame: Frame) -> None:
        try:
            self._unsent.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort("the backend takes nothing any more")

    async def _write(self, socket: WebSocket) -> None:
        """Write until the socket raises an exception, which ends the link."""
        with suppress(Exception):
            while True:
                await _put(socket, await self._unsent.get())
                self._unsent.task_done()

    async def _read(self, socket: WebSocket) -> None:
        with suppress(Exception):  # a peer can make the library raise anything
            while True:
                message = await socket.receive()
                frame = _frame(message)
                if frame is None:
                    break
                if isinstance(frame, PingFrame):
                    self._post(PongFrame(frame.payload))
                else:
                    self._hear(frame)
            self._vigil.end("the backend closed the link", in_order=_closes_in_order(message))

    def _hear(self, frame: Frame) -> None:
        try:
            messages = self._dialect.hear(frame)
        except RemoteProtocolError as refused:
            self.refused += 1
            _LOGGER.debug("message refused: %s", refused)
            return
        self._vigil.heard(pong=any(isinstance(message, Pong) for message in messages))
        self._look_for_greeting()
        for message in messages:
            if not isinstance(message, Pong):
                self._keep(message)

    def _keep(self, message: FromBackend) -> None:
        try:
            self.received.put_nowait(message)
        except asyncio.QueueFull:
            self.overflows += 1
            self.abort("the backend says more than can be heard")
        self._wake()


def _refusal(status: int) -> ConnectFailed | Rejected | RemoteProtocolError:
    if status in _REFUSALS:
        return Rejected("the backend does not let us in")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ConnectFailed(f"connection failed: status {status}")
    return RemoteProtocolError(f"the backend answers with status {status}; expected an upgrade")


async def _put(socket: WebSocket, frame: Frame) -> None:
    match frame:
        case str():
            await socket.send_str(frame)
        case bytes():
            await socket.send_bytes(frame)
        case PingFrame(payload):
            await socket.ping(payload)
        case PongFrame(payload):
            await socket.pong(payload)


def _closes_in_order(message: aiohttp.WSMessage) -> bool:
    return message.type is aiohttp.WSMsgType.CLOSE and message.data in _IN_ORDER


def _frame(message: aiohttp.WSMessage) -> Frame | None:
    """Return the received frame, or None at the end of the connection."""
    match message.type:
        case aiohttp.WSMsgType.TEXT:
            return str(message.data)
        case aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        case aiohttp.WSMsgType.PING:
            return PingFrame(bytes(message.data))
        case aiohttp.WSMsgType.PONG:
            return PongFrame(bytes(message.data))
        case _:
            return None


class Keepalive:
    """Tracks the time of the last message, and why the link ended. Owned by one link.

    A backend that never answers pings has no deadline here: the keepalive of the kernel or of the
    wire detects its loss.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._heard_at = math.inf
        self._answers_pings = False
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the link ended, once it has."""
        self._error: type[Disconnected] = Disconnected

    def heard(self, *, pong: bool = False) -> None:
        """Note a message from the backend."""
        self._heard_at = asyncio.get_running_loop().time()
        self._answers_pings |= pong

    def end(self, reason: str, *, in_order: bool = False) -> None:
        """Note that the link has ended; the first reason counts.

        ``in_order``: the backend closed it as its protocol prescribes.
        """
        if not self.ended.done():
            self._error = ClosedInOrder if in_order else Disconnected
            self.ended.set_result(reason)

    async def watch(self, ping: Callable[[], Awaitable[None]]) -> NoReturn:
        """Send pings until the link ends or the backend is silent for too long; then raise."""
        while True:
            await ping()
            await asyncio.wait({self.ended}, timeout=min(self._timing.ping_s, self._patience_s()))
            if self.ended.done():
                raise self._error(self.ended.result())
            if self._patience_s() <= 0:
                raise Disconnected(f"no word of the backend for {self._timing.dead_s:g} s")

    def _patience_s(self) -> float:
        """Return the seconds left for the next message."""
        if not self._answers_pings:
            return math.inf
        return self._heard_at + self._timing.dead_s - asyncio.get_running_loop().time()
