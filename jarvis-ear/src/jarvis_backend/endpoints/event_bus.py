"""The event bus ``/ws``: JSON in, and everybody is told."""

import asyncio
from collections.abc import Callable
from typing import assert_never

from fastapi import APIRouter
from starlette.websockets import WebSocket

from jarvis_backend.endpoints.socket import SocketDoor, WireSocket
from jarvis_backend.event_bus import BusSubscriber, EventBus, SharedSeal
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.json_fields import RemoteProtocolError


def event_bus_routes(
    door: SocketDoor, bus: EventBus, seal: SharedSeal, now: Callable[[], float]
) -> APIRouter:
    """Routes of the event bus. ``now`` is a wall clock."""
    routes = APIRouter()

    @routes.websocket(wire.PATH)
    async def events(socket: WebSocket) -> None:
        async def talk(line: WireSocket) -> None:
            await BusSocket(line, bus, seal, now).run()

        await door.serve(socket, talk)

    return routes


class BusSocket:
    """One client: one task hears it, one tells it, and neither waits for anybody else's."""

    def __init__(
        self, line: WireSocket, bus: EventBus, seal: SharedSeal, now: Callable[[], float]
    ) -> None:
        self._line = line
        self._bus = bus
        self._seal = seal
        self._now = now

    async def run(self) -> None:
        """Serve until the peer leaves or falls behind."""
        client = self._bus.join()
        tasks = [
            asyncio.create_task(work)
            for work in (self._hear(client), self._tell(client), client.fell_behind.wait())
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._bus.leave(client)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in ended:
            task.result()

    async def _tell(self, client: BusSubscriber) -> None:
        while True:
            frames = [await client.waiting.get()]
            while not client.waiting.empty():
                frames.append(client.waiting.get_nowait())
            await self._line.say(*frames)

    async def _hear(self, client: BusSubscriber) -> None:
        while True:
            frame = await self._line.receive()
            try:
                await self._take(client, frame)
            except wire.NotJson:
                await self._complain(client, "Invalid JSON")
            except RemoteProtocolError as error:
                await self._complain(client, str(error))
            await asyncio.sleep(0)  # however much it says, it is told, too

    async def _take(self, client: BusSubscriber, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            raise wire.NotJson("a binary frame; expected JSON")
        payload = wire.read(frame)
        await self._seal.check(payload)
        message = wire.decode(payload)
        match message:
            case wire.BusPing():
                await self._bus.answer(client, wire.pong(self._now()))
            case wire.ModuleControl():
                await self._bus.switch(message)
            case wire.Event():
                await self._bus.forward(message)
            case _:
                assert_never(message)

    async def _complain(self, client: BusSubscriber, error: str) -> None:
        await self._bus.answer(client, {"error": error})
