"""A TCP proxy that fails the way networks fail.

``with Proxy(server.port) as proxy: ...`` forwards ``proxy.port`` to the server, until it is told
to ``hold`` (nothing gets through, silently), to ``trickle``, to ``reset`` or to ``refuse``.
"""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from typing import Self

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_PIECE_BYTES = 64 * 1024


class Proxy:
    """Forwards connections, or fails to. Its loop runs in a thread; any thread may call it."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = _listener()
        self.port = int(self._listener.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open = threading.Event()
        self._open.set()
        self._accepts = True
        self._rate: float | None = None
        self._marker: bytes | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self.accepted = 0
        self.forwarded = 0
        """Bytes that went from clients to the server."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._listener.close()
        self._loop.close()

    def hold(self) -> None:
        """Let nothing through, without an error: a pulled cable."""
        self._open.clear()

    def hold_after(self, marker: bytes) -> None:
        """Hold as soon as the server has said ``marker``, which still gets through."""
        self._marker = marker

    def release(self) -> None:
        self._open.set()

    def trickle(self, bytes_per_s: float | None) -> None:
        """Limit the bytes per second that go up on each connection; None: no limit."""
        self._rate = bytes_per_s

    def reset(self) -> None:
        asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result(5)

    def refuse(self) -> None:
        """Reset every connection there is and every new one."""
        self._accepts = False
        self.reset()

    def accept(self) -> None:
        self._accepts = True

    async def _start(self) -> None:
        self._tasks.add(self._loop.create_task(self._accept_all()))

    async def _stop(self) -> None:
        await _cancel(self._tasks)
        await self._reset()

    async def _reset(self) -> None:
        await _cancel(self._connections)

    async def _accept_all(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            client.setblocking(False)  # noqa: FBT003 - the standard library's signature
            self.accepted += 1
            task = self._loop.create_task(self._serve(client))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(self, client: socket.socket) -> None:
        server = socket.socket()
        server.setblocking(False)  # noqa: FBT003 - the standard library's signature
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._passes()
            if not self._accepts:
                return
            await self._loop.sock_connect(server, ("127.0.0.1", self._server_port))
            await self._forward(client, server)
        except OSError:
            pass  # nothing listens there: the client sees a reset
        finally:
            _reset(client)
            _reset(server)

    async def _forward(self, client: socket.socket, server: socket.socket) -> None:
        ways = {
            self._loop.create_task(self._pump(client, server, upward=True)),
            self._loop.create_task(self._pump(server, client, upward=False)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(ways)

    async def _pump(self, source: socket.socket, sink: socket.socket, *, upward: bool) -> None:
        with suppress(OSError):
            while True:
                await self._passes()
                rate = self._rate if upward else None
                data = await self._loop.sock_recv(source, _PIECE_BYTES if rate is None else 64)
                await self._passes()
                if not data or _dead(source):
                    return
                await self._loop.sock_sendall(sink, data)
                self.forwarded += len(data) if upward else 0
                if not upward and self._marker is not None and self._marker in data:
                    self._marker = None
                    self.hold()
                if rate is not None:
                    await asyncio.sleep(len(data) / rate)

    async def _passes(self) -> None:
        while not self._open.is_set():  # noqa: ASYNC110 - set by other threads
            await asyncio.sleep(0.01)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    ending = set(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending, timeout=2)


def _reset(each: socket.socket) -> None:
    with suppress(OSError):  # closed already
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        each.close()


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _dead(each: socket.socket) -> bool:
    """Whether the sender has reset the connection: then nothing it left behind may get through."""
    return each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
