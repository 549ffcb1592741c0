"""SocketIoLink: one Socket.IO connection to the backend, from its handshake to its reset."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import aiohttp
import socketio
from engineio import base_client

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, Disconnected, Rejected, RemoteProtocolError
from jarvis_ear.link.connection import MAX_UNREAD
from jarvis_ear.link.tls_and_tcp import Sockets, Trust, WebSocket, error_text
from jarvis_ear.link.websocket import Keepalive
from jarvis_ear.wires.messages import FromBackend, Listening, Ping, Pong, ToBackend
from jarvis_ear.wires.socketio import MAX_MESSAGE_BYTES, NAMESPACE, decode, encode, is_for_another

_LOGGER = logging.getLogger(__name__)

_SILENT: Final = logging.Logger(  # noqa: LOG001 - not in the logger tree, on purpose
    "silent", logging.CRITICAL + 1
)
"""Logger for the libraries, which log tokens and audio."""


class SocketIoLink:
    """One connection to the backend. Not reusable. The network thread only.

    The library serves as a codec: it connects once, with ``namespaces=['/voice']``, does not
    reconnect and does not log; its statements about the connection are subject to a deadline.
    ``received`` holds at most 256 messages; one more ends the link. Refused messages are counted
    (``refused``).
    """

    def __init__(
        self,
        url: str,
        agent_id: str,
        timing: Timing,
        wake: Callable[[], None],
        trust: Trust | None = None,
    ) -> None:
        self.received: asyncio.Queue[FromBackend] = asyncio.Queue(MAX_UNREAD)
        """Messages from the backend, in order. ``wake`` is called after each."""
        self.remark = ""
        """Always empty on this wire."""
        self.refused = 0
        """Number of messages that no backend should send."""
        self.overflows = 0
        """Number of messages that found no room; one ends the link."""
        self.strays = 0
        """Number of messages that name another agent."""
        self._url = url
        self._agent_id = agent_id
        self._timing = timing
        self._wake = wake
        self._sockets = Sockets(trust)
        self._session: aiohttp.ClientSession | None = None
        self._client: Any = None
        self._messages = 0
        self._vigil = Keepalive(timing)
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def usable(self) -> bool:
        """Whether a message sent now goes to the socket; if not, the library drops it silently."""
        if self._client is None or self._vigil.ended.done():
            return False
        return self._client.eio.state == "connected" and NAMESPACE in self._client.namespaces

    async def open(self, token: str | None) -> None:
        """Connect, or raise ``Rejected``, ``ConnectFailed`` or ``RemoteProtocolError``."""
        self._session = self._sockets.session()
        self._client = self._codec(self._session)
        try:
            async with asyncio.timeout(self._timing.connect_s):
                await self._connect(token)
        except RemoteProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
            raise self._failure(error) from None
        if NAMESPACE in self._client.failed_namespaces:
            raise Rejected("the backend does not accept the token")
        if not self.usable:
            raise ConnectFailed("the backend closed the connection at once")
        self._vigil.heard()

    async def send(self, message: ToBackend) -> None:
        """Queue a message for the socket, or raise ``Disconnected``. Delivery is not guaranteed."""
        event, payload = encode(message, self._agent_id)
        if not self.usable:
            raise Disconnected("the link is down")
        await self._client.emit(event, payload, namespace=NAMESPACE)

    async def flushed(self) -> None:
        """Wait, without a time limit, until the socket has taken everything that was sent."""
        await self._client.eio.queue.join()

    async def run(self) -> NoReturn:
        """Monitor the link until it ends, then raise ``Disconnected``."""
        await self._vigil.watch(lambda: self.send(Ping()))

    def abort(self, reason: str) -> None:
        """End the link now with a reset; unsent messages are dropped."""
        self._vigil.end(reason)
        self._sockets.reset_on_close()
        if self._client is not None and isinstance(self._client.eio.ws, WebSocket):
            self._client.eio.ws.abort()

    async def close(self) -> None:
        """Abort, and clean up what the library leaves behind. Bounded; never raises."""
        self.abort("closed")
        if self._client is None or self._session is None:
            return
        eio = self._client.eio
        await self._reap({task for task in (eio.read_loop_task, eio.write_loop_task) if task})
        with suppress(ValueError):  # the library has removed it already
            base_client.connected_clients.remove(eio)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.close_s):
                await self._session.close()

    def _codec(self, session: aiohttp.ClientSession) -> Any:  # noqa: ANN401 - the library is untyped
        client = socketio.AsyncClient(
            reconnection=False,
            handle_sigint=False,
            http_session=session,
            websocket_extra_options={"max_msg_size": MAX_MESSAGE_BYTES},
            logger=_SILENT,
            engineio_logger=_SILENT,
        )
        client.on("*", self._on_event, namespace=NAMESPACE)
        client.on("connect", self._on_answer, namespace=NAMESPACE)
        client.on("connect_error", self._on_answer, namespace=NAMESPACE)
        client.on("disconnect", self._on_disconnect, namespace=NAMESPACE)
        return client

    async def _connect(self, token: str | None) -> None:
        await self._client.connect(
            self._url,
            auth={"token": token},
            transports=["websocket"],
            namespaces=["/voice"],
            socketio_path=f"{urlsplit(self._url).path.strip('/')}/socket.io".lstrip("/"),
            wait=False,  # the library's own wait does not notice when the connection dies
        )
        reading = self._client.eio.read_loop_task
        reading.add_done_callback(lambda _: self._vigil.end("link lost"))
        either: list[asyncio.Future[Any]] = [self._answered, self._vigil.ended]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    def _failure(self, error: Exception) -> ConnectFailed:
        if isinstance(error, TimeoutError):
            return ConnectFailed(f"no connection within {self._timing.connect_s:g} s")
        return ConnectFailed(f"connection failed: {error_text(error)}")

    def _on_answer(self, *_details: object) -> None:
        """Continue ``_connect``; the library's namespace lists show which answer it was."""
        if not self._answered.done():
            self._answered.set_result(None)

    def _on_disconnect(self, reason: object = None, *_: object) -> None:
        lost = reason == self._client.reason.TRANSPORT_ERROR
        self._vigil.end("link lost" if lost else "the backend closed the link")

    def _on_event(self, event: object, *args: object) -> None:
        payload = args[0] if args else None
        if is_for_another(self._agent_id, payload):
            self.strays += 1
            self._vigil.heard()
            return
        try:
            message = decode(str(event), payload)
        except RemoteProtocolError as refused:
            self.refused += 1
            _LOGGER.debug("message refused: %s", refused)
            return
        self._vigil.heard(pong=isinstance(message, Pong))
        self._messages += 1
        if self._messages == 1 and message == Listening():
            return  # the greeting, which answers no request
        self._keep(message)

    def _keep(self, message: FromBackend) -> None:
        try:
            self.received.put_nowait(message)
        except asyncio.QueueFull:
            self.overflows += 1
            self.abort("the backend says more than can be heard")
        self._wake()

    async def _reap(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait for the library's loops, which a reset wakes; cancel those that do not end."""
        if not tasks:
            return
        _, stuck = await asyncio.wait(tasks, timeout=self._timing.close_s)
        for task in stuck:
            task.cancel()
        if stuck:
            await asyncio.wait(stuck, timeout=self._timing.close_s)
