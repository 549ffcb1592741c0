"""WebSocketLink: one connection over a WebSocket."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic

import aiohttp

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import Disconnected, RemoteProtocolError
from jarvis_ear.link.connection import BACKEND, Link, Peer, Received, Sent
from jarvis_ear.link.tls_and_tcp import TrustStore, WebSocket
from jarvis_ear.wires.dialect import Dialect, Frame, Handshake, PingFrame, PongFrame
from jarvis_ear.wires.messages import Ping, Pong

_IN_ORDER: Final = (0, aiohttp.WSCloseCode.OK, aiohttp.WSCloseCode.GOING_AWAY)
"""Close codes of a regular end (RFC 6455, 7.4.1); 0: the server gave none."""


class WebSocketLink(Link[Sent, Received], Generic[Sent, Received]):
    """A link that translates with a dialect. The network thread only.

    It has two tasks: one reads, one writes the frames of a queue (at most 4096; one more ends the
    link). With ``assumed_after_s``, a server without a greeting is assumed to speak the wire after
    that many seconds.
    """

    def __init__(
        self,
        handshake: Handshake,
        dialect: Dialect[Sent, Received],
        timing: Timing,
        wake: Callable[[], None],
        trust_store: TrustStore | None = None,
        *,
        assumed_after_s: float | None = None,
        peer: Peer = BACKEND,
    ) -> None:
        super().__init__(timing, wake, trust_store, peer)
        self._assumed_after_s = assumed_after_s
        self._handshake = handshake
        self._dialect = dialect
        self._socket: WebSocket | None = None
        self._greeted = asyncio.Event()

    @property
    def usable(self) -> bool:
        """Whether a message sent now goes to the socket."""
        return self._greeted.is_set() and not self._keepalive.ended.done()

    async def _send(self, message: Sent) -> None:
        self._enqueue(self._dialect.say(message))

    async def _ping(self) -> None:
        if not self.usable:
            raise Disconnected("the link is down")
        self._enqueue(self._dialect.say(Ping()))

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.abort()

    async def _release(self) -> None:
        await self._end_tasks()
        with suppress(Exception):  # the link has ended: no error matters any more
            async with asyncio.timeout(self._timing.close_s):
                if self._socket is not None:
                    await self._socket.close()  # after a reset it only releases the socket
                if self._session is not None:
                    await self._handshake.leave(self._session)

    async def _connect(self, session: aiohttp.ClientSession, token: str | None) -> None:
        endpoint = await self._handshake.find(session, token)
        opened = await session.ws_connect(
            endpoint.url,
            protocols=() if endpoint.subprotocol is None else (endpoint.subprotocol,),
            headers=endpoint.headers,
            max_msg_size=self._peer.max_message_bytes,
            timeout=aiohttp.ClientWSTimeout(ws_close=self._timing.close_s),
            autoclose=False,
            autoping=False,
        )
        if not isinstance(opened, WebSocket) or opened.protocol != endpoint.subprotocol:
            raise RemoteProtocolError(
                f"{self._peer.called} accepts without the token that it was shown"
            )
        self._socket = opened
        self._begin(self._read(opened))
        self._begin(self._write(opened))
        self._enqueue(self._dialect.hello())
        await self._wait_for_greeting()

    async def _wait_for_greeting(self) -> None:
        self._look_for_greeting()
        greeting = asyncio.create_task(self._greeted.wait())
        try:
            either: set[asyncio.Future[str] | asyncio.Task[bool]] = {
                greeting,
                self._keepalive.ended,
            }
            await asyncio.wait(
                either, timeout=self._assumed_after_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            greeting.cancel()
        if not self._greeted.is_set() and not self._keepalive.ended.done():
            self.remark = f"it has not said for {self._assumed_after_s:g} s whether it is ready"
            self._greeted.set()

    def _look_for_greeting(self) -> None:
        if self._dialect.is_open:
            self._greeted.set()

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
                if self._peer.must_answer:
                    self._keepalive.heard()
                    await asyncio.sleep(0)  # a burst of messages is processed one by one
                if isinstance(frame, PingFrame):
                    self._enqueue((PongFrame(frame.payload),))
                else:
                    self._hear(frame)
            reason = f"{self._peer.called} closed the link"
            self._keepalive.end(reason, in_order=_closes_in_order(message))

    def _hear(self, frame: Frame) -> None:
        try:
            messages = self._dialect.hear(frame)
        except RemoteProtocolError as error:
            self._refuse(error)
            return
        self._keepalive.heard(pong=any(isinstance(message, Pong) for message in messages))
        self._look_for_greeting()
        for message in messages:
            if not isinstance(message, Pong):
                self._deliver(message)


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
