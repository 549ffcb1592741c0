"""The session stream in loopback mode: round trip of a frame."""

import asyncio
import time
from typing import Final

import aiohttp

from bench.backend_process import RunningBackend, running_backend
from bench.material import Collection
from bench.percent import milliseconds
from bench.scale import Scale
from bench.table import Table
from jarvis_ear.units import FRAME_BYTES
from jarvis_ear.wires import session as wire

FRAME_S: Final = 0.02
TARGET_MS: Final = 20.0
"""A frame returns before the next one is due."""


def loopback(scale: Scale, collection: Collection) -> list[Table]:  # noqa: ARG001 - as all are called
    """Send frames in real time, and wait for the return of each."""
    with running_backend("--stt.engine", "none") as backend:
        trips = asyncio.run(_measure(backend, scale.round_trips))
    return [
        Table(
            "Round trip of a frame of 20 ms on the session stream",
            ("frames", "p50", "p99", "max"),
            [
                (
                    str(len(trips)),
                    milliseconds(trips, 50),
                    milliseconds(trips, 99, TARGET_MS),
                    milliseconds(trips, 100),
                )
            ],
            f"p99 < {TARGET_MS:g} ms",
        )
    ]


async def _measure(backend: RunningBackend, count: int) -> list[float]:
    async with aiohttp.ClientSession() as http:
        async with http.post(backend.url + wire.API_PATH, json={"mode": "loopback"}) as answer:
            path = (await answer.json())["path"]
        async with http.ws_connect(backend.socket_url + path) as line:
            await line.send_str(wire.encode(wire.SessionStart()))
            await line.receive()
            began = time.perf_counter()
            return [await _trip(line, began + number * FRAME_S) for number in range(count)]


async def _trip(line: aiohttp.ClientWebSocketResponse, due: float) -> float:
    await asyncio.sleep(due - time.perf_counter())
    sent = time.perf_counter()
    await line.send_bytes(bytes(FRAME_BYTES))
    while (await line.receive()).type is not aiohttp.WSMsgType.BINARY:
        pass  # a status
    return time.perf_counter() - sent
