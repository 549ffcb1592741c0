"""SocketIoLink: one connection to the backend, from its handshake to its reset."""

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

_SILENT: Final = logging.Logger(  # noqa: LOG001 - out of everybody's reach, on purpose
    "silent", logging.CRITICAL + 1
)
"""For the libraries, which write tokens and voices into their logs."""


class SocketIoLink:
    """One connection to the backend. Never used twice. The network thread only.

    The library is a codec here: it connects once, with ``namespaces=['/voice']``, it does not
    reconnect, it does not log, and nothing that it says about the connection is believed without a
    deadline. ``received`` holds at most 256 messages;
    one more, and the link ends. Refused messages are counted (``refused``).
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
        """What the backend said, in order. ``wake`` is called after each."""
        self.remark = ""
        """Nothing about this wire is worth one."""
        self.refused = 0
        """Messages that no backend should send."""
        self.overflows = 0
        """Messages that found no room: one, and the link ends."""
        self.strays = 0
        """Messages that name another ear: none of ours."""
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
        """Whether what is said now goes to the socket. The library drops it silently if not."""
        if self._client is None or self._vigil.ended.done():
            return False
        return self._client.eio.state == "connected" and NAMESPACE in self._client.namespaces

    async def open(self, token: str | None) -> None:
        """Connect, or raise ``Rejected``, ``ConnectFailed``, ``RemoteProtocolError``."""
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
        """Give a message to the socket's queue, or raise ``Disconnected``: no more is promised."""
        event, payload = encode(message)
        if not self.usable:
            raise Disconnected("the link is down")
        await self._client.emit(event, payload, namespace=NAMESPACE)

    async def flushed(self) -> None:
        """Wait until the socket has taken everything that was sent: for ever if it does not."""
        await self._client.eio.queue.join()

    async def run(self) -> NoReturn:
        """Watch the link until it ends, and then raise ``Disconnected``."""
        await self._vigil.watch(lambda: self.send(Ping(self._agent_id)))

    def abort(self, reason: str) -> None:
        """End the link now, with a reset: nothing that waits to be sent will be."""
        self._vigil.end(reason)
        self._sockets.reset_on_close()
        if self._client is not None and isinstance(self._client.eio.ws, WebSocket):
            self._client.eio.ws.abort()

    async def close(self) -> None:
        """Abort, and clear away what the library leaves behind. Bounded, and never raises."""
        self.abort("closed")
        if self._client is None or self._session is None:
            return
        eio = self._client.eio
        await self._reap({task for task in (eio.read_loop_task, eio.write_loop_task) if task})
        with suppress(ValueError):  # it has done so itself
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
        """Go on: which way the namespace answered is seen by its being there or not."""
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
            return  # its greeting, which answers nothing of ours
        self._keep(message)

    def _keep(self, message: FromBackend) -> None:
        try:
            self.received.put_nowait(message)
        except asyncio.QueueFull:
            self.overflows += 1
            self.abort("the backend says more than can be heard")
        self._wake()

    async def _reap(self, tasks: set[asyncio.Task[None]]) -> None:
        """Let the library's loops end: a reset wakes them. What does not wake is cancelled."""
        if not tasks:
            return
        _, stuck = await asyncio.wait(tasks, timeout=self._timing.close_s)
        for task in stuck:
            task.cancel()
        if stuck:
            await asyncio.wait(stuck, timeout=self._timing.close_s)
