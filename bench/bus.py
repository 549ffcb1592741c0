"""The event bus: delay of an event to all clients, while one client reads nothing."""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from bench.backend_process import RunningBackend, running_backend
from bench.material import Collection
from bench.percent import milliseconds
from bench.scale import Scale
from bench.table import Figure, Table
from jarvis_ear.wires import event_bus as wire

PER_S: Final = 50
"""Events published per second."""

TARGET_MS: Final = 50.0

PADDING: Final = "x" * 4000
"""Fills the buffers between the server and the stuck client before the end of the run."""

BUFFER_BYTES: Final = 4096
"""Receive buffer of the stuck client."""

LAST_S: Final = 10.0
"""Seconds to wait for the last event."""


def bus(scale: Scale, collection: Collection) -> list[Table]:  # noqa: ARG001 - as all are called
    """Publish events, and measure when each client receives them."""
    count = scale.bus_clients
    with running_backend(
        *("--stt.engine", "none", "--limits.connections", str(count + 2))
    ) as backend:
        began, worked = time.perf_counter(), _cpu_s(backend.pid)
        told, is_dropped = asyncio.run(_measure(backend, count, scale.bus_s))
        busy = (_cpu_s(backend.pid) - worked) / (time.perf_counter() - began)
    published = int(scale.bus_s * PER_S)
    return [
        Table(
            f"Delay of an event on the bus, {PER_S} per second, to all clients, one of them stuck",
            (
                "clients",
                "events",
                "deliveries",
                "lost",
                "p50",
                "p99",
                "max",
                "server busy",
                "stuck client",
            ),
            [
                (
                    str(count),
                    str(published),
                    str(len(told)),
                    str(count * published - len(told)),
                    milliseconds(told, 50),
                    milliseconds(told, 99, TARGET_MS),
                    milliseconds(told, 100),
                    Figure(100 * busy, ".0f", " %"),
                    "dropped" if is_dropped else "not noticed yet",
                )
            ],
            f"p99 < {TARGET_MS:g} ms",
            ["all clients run in one process: the figures include its own time"],
        )
    ]


def _cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def _measure(
    backend: RunningBackend, count: int, length_s: float
) -> tuple[list[float], bool]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        lines = [
            await stack.enter_async_context(http.ws_connect(backend.socket_url + wire.PATH))
            for _ in range(count)
        ]
        stuck = await stack.enter_async_context(_stuck(backend))
        told: list[float] = []
        published = int(length_s * PER_S)
        listening = [asyncio.create_task(_listen(line, published, told)) for line in lines]
        await _publish(lines[0], published)
        _, late = await asyncio.wait(listening, timeout=LAST_S)
        for task in late:
            task.cancel()
        return told, await _is_closed(stuck)


async def _publish(line: aiohttp.ClientWebSocketResponse, count: int) -> None:
    began = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(began + number / PER_S - time.perf_counter())
        data = {"at": time.perf_counter(), "padding": PADDING}
        await line.send_str(json.dumps({"type": "tick", "data": data}))


async def _listen(line: aiohttp.ClientWebSocketResponse, count: int, told: list[float]) -> None:
    for _ in range(count):
        text = str((await line.receive()).data)
        now = time.perf_counter()
        at = text.index('"at":') + len('"at":')
        told.append(now - float(text[at : text.index(",", at)]))


@asynccontextmanager
async def _stuck(backend: RunningBackend) -> AsyncIterator[socket.socket]:
    """Open a client that reads only the answer to its handshake."""
    place = urlsplit(backend.url)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        line.setblocking(False)  # noqa: FBT003 - the name says it
        loop = asyncio.get_running_loop()
        await loop.sock_connect(line, (place.hostname, place.port))
        ask = (
            f"GET {wire.PATH} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await loop.sock_sendall(line, ask.encode())
        await loop.sock_recv(line, 64)
        yield line


async def _is_closed(stuck: socket.socket) -> bool:
    """Whether the server has dropped the client; reads what was still in transit first."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(1):
            while await loop.sock_recv(stuck, 1 << 16):
                pass
            return True
    return stuck.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
