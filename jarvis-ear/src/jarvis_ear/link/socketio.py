"""SocketIoLink: one Socket.IO connection to the backend."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import socketio
from engineio import base_client

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import Rejected, RemoteProtocolError
from jarvis_ear.link.connection import BackendLink
from jarvis_ear.link.tls_and_tcp import TrustStore, WebSocket
from jarvis_ear.wires.messages import Listening, Ping, Pong, ToBackend
from jarvis_ear.wires.socketio import MAX_MESSAGE_BYTES, NAMESPACE, decode, encode, is_for_another

_SILENT: Final = logging.Logger(  # noqa: LOG001 - not in the logger tree, on purpose
    "silent", logging.CRITICAL + 1
)
"""Logger for the libraries, which log tokens and audio."""


class SocketIoLink(BackendLink):
    """A link whose codec is the library python-socketio. The network thread only.

    The library connects once, with ``namespaces=['/voice']``, does not reconnect and does not log.
    """

    def __init__(
        self,
        url: str,
        agent_id: str,
        timing: Timing,
        wake: Callable[[], None],
        trust_store: TrustStore | None = None,
    ) -> None:
        super().__init__(timing, wake, trust_store)
        self._url = url
        self._agent_id = agent_id
        self._agents = {agent_id}  # and those that utterances were for
        self._client: Any = None
        self._messages = 0
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def usable(self) -> bool:
        """Whether a message sent now goes to the socket; if not, the library drops it silently."""
        if self._client is None or self._keepalive.ended.done():
            return False
        return self._client.eio.state == "connected" and NAMESPACE in self._client.namespaces

    async def _send(self, message: ToBackend) -> None:
        event, payload = encode(message, self._agent_id)
        self._agents.add(str(payload["agentId"]))
        await self._client.emit(event, payload, namespace=NAMESPACE)

    async def _ping(self) -> None:
        await self.send(Ping())

    def _drop(self) -> None:
        if self._client is not None and isinstance(self._client.eio.ws, WebSocket):
            self._client.eio.ws.abort()

    async def _release(self) -> None:
        if self._client is None:
            return
        eio = self._client.eio
        await self._reap({task for task in (eio.read_loop_task, eio.write_loop_task) if task})
        with suppress(ValueError):  # the library has removed it already
            base_client.connected_clients.remove(eio)

    async def _connect(self, session: aiohttp.ClientSession, token: str | None) -> None:
        self._client = self._codec(session)
        await self._client.connect(
            self._url,
            auth={"token": token},
            transports=["websocket"],
            namespaces=["/voice"],
            socketio_path=f"{urlsplit(self._url).path.strip('/')}/socket.io".lstrip("/"),
            wait=False,  # the library's own wait does not notice when the connection dies
        )
        self._unsent = self._client.eio.queue
        reading = self._client.eio.read_loop_task
        reading.add_done_callback(lambda _: self._keepalive.end("link lost"))
        either: list[asyncio.Future[Any]] = [self._answered, self._keepalive.ended]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if NAMESPACE in self._client.failed_namespaces:
            raise Rejected("the backend does not accept the token")

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

    def _on_answer(self, *_details: object) -> None:
        """Continue ``_connect``; the library's namespace lists show which answer it was."""
        if not self._answered.done():
            self._answered.set_result(None)

    def _on_disconnect(self, reason: object = None, *_: object) -> None:
        lost = reason == self._client.reason.TRANSPORT_ERROR
        self._keepalive.end("link lost" if lost else "the backend closed the link")

    def _on_event(self, event: object, *args: object) -> None:
        payload = args[0] if args else None
        if is_for_another(self._agents, payload):
            self.strays += 1
            self._keepalive.heard()
            return
        try:
            message = decode(str(event), payload)
        except RemoteProtocolError as error:
            self._refuse(error)
            return
        self._keepalive.heard(pong=isinstance(message, Pong))
        self._messages += 1
        if self._messages == 1 and message == Listening():
            return  # the greeting, which answers no request
        self._deliver(message)

    async def _reap(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait for the library's loops, which a reset wakes; cancel those that do not end."""
        if not tasks:
            return
        _, stuck = await asyncio.wait(tasks, timeout=self._timing.close_s)
        for task in stuck:
            task.cancel()
        if stuck:
            await asyncio.wait(stuck, timeout=self._timing.close_s)
