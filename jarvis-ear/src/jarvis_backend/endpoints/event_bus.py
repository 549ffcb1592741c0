"""The event bus ``/ws``: each event of a client goes to all clients, of every process."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, assert_never

from fastapi import APIRouter

from jarvis_backend.endpoints.websocket import WebSocketRoute, WireSocket
from jarvis_backend.message_queue import Message, MessageQueue
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import MessageSigner
from jarvis_ear.wires.json_fields import RemoteProtocolError

QUEUE_EVENTS: Final = 64
"""Events that may wait for one client: more than a second of a busy bus."""

CHANNEL: Final = "bus"
"""Channel of the message queue."""

_MODULE: Final = "module:"
_STATES: Final = {True: "on", False: "off"}
"""Values of the keys of modules in the message queue."""


def event_bus_routes(route: WebSocketRoute, bus: "EventBus") -> APIRouter:
    """Return the route of the event bus."""
    return route.router(wire.PATH, lambda socket: serve_client(socket, bus))


async def serve_client(socket: WireSocket, bus: "EventBus") -> None:
    """Serve one client until it leaves or falls behind; two tasks receive and send."""
    client = bus.join()
    tasks = [
        asyncio.create_task(work)
        for work in (
            _receive(socket, bus, client),
            _send(socket, client),
            client.fell_behind.wait(),
        )
    ]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        bus.leave(client)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in ended:
        task.result()


async def _send(socket: WireSocket, client: "BusSubscriber") -> None:
    while True:
        frames = [await client.waiting.get()]
        while not client.waiting.empty():
            frames.append(client.waiting.get_nowait())
        await socket.send(*frames)


async def _receive(socket: WireSocket, bus: "EventBus", client: "BusSubscriber") -> None:
    while True:
        frame = await socket.receive()
        try:
            await bus.handle(client, frame)
        except wire.NotJson:
            await bus.answer(client, {"error": "Invalid JSON"})
        except RemoteProtocolError as error:
            await bus.answer(client, {"error": str(error)})
        await asyncio.sleep(0)  # a busy client does not keep events from being sent to it


class BusSubscriber:
    """The frames that wait to be sent to one client. Lives on the loop.

    Bound: ``QUEUE_EVENTS``. Policy: a client that falls behind is dropped. Counter: the bus's
    ``dropped``.
    """

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[str] = asyncio.Queue(QUEUE_EVENTS)
        self.fell_behind = asyncio.Event()


class EventBus:
    """The clients of this process, and the modules of the house. Lives on the loop.

    Events reach the clients of other processes through the message queue; while it is away, only
    those of this process.
    """

    def __init__(self, key: bytes | None, now: Callable[[], float], queue: MessageQueue) -> None:
        """Sign with ``key``, or not at all; ``now`` is a wall clock."""
        self._is_signed = key is not None
        self._signer = MessageSigner(key, now)
        self._queue = queue
        self._now = now
        self._clients: set[BusSubscriber] = set()
        self.modules = dict.fromkeys(wire.MODULES, True)
        """Whether each module is enabled, as far as it is known."""
        self._changed_at: dict[str, float] = {}
        """When each module was last switched, of those that ever were."""
        self.dropped = 0
        queue.subscribe(CHANNEL, self._on_queue_message)
        queue.when_connected(self._synchronise)

    def join(self) -> BusSubscriber:
        """Add a client and send it the modules that are off."""
        client = BusSubscriber()
        for module, enabled in self.modules.items():
            if not enabled:
                event = wire.status_changed(module, enabled=False, now_s=self._changed_at[module])
                client.waiting.put_nowait(self._signer.write(wire.encode(event)))
        self._clients.add(client)
        return client

    def leave(self, client: BusSubscriber) -> None:
        """Remove ``client``. Does nothing if it has been dropped already."""
        self._clients.discard(client)

    async def answer(self, client: BusSubscriber, payload: Mapping[str, Any]) -> None:
        """Send ``payload`` to one client, after the frames that wait for it."""
        await client.waiting.put(self._signer.write(payload))

    async def handle(self, client: BusSubscriber, frame: str | bytes) -> None:
        """Carry out the message of a client. Raises RemoteProtocolError for an invalid one."""
        if isinstance(frame, bytes):
            raise wire.NotJson("a binary frame; expected JSON")
        payload = wire.read(frame)
        await self._check_signature(payload)
        message = wire.decode(payload)
        match message:
            case wire.BusPing():
                await self.answer(client, wire.pong(self._now()))
            case wire.ModuleControl(module=module, enabled=enabled):
                await self.forward(wire.status_changed(module, enabled=enabled, now_s=self._now()))
            case wire.Event():
                await self.forward(message)
            case _:
                assert_never(message)

    async def forward(self, event: wire.Event) -> None:
        """Send ``event`` to all clients of all processes."""
        await self._send_everywhere(
            replace(event, timestamp=event.timestamp or wire.stamp(self._now()))
        )
        switched = wire.module_switched(event)
        if switched is not None:
            await self._store(switched[0])

    async def _check_signature(self, payload: Mapping[str, Any]) -> None:
        """Check the signature, which is valid once among all processes."""
        self._signer.check(payload)
        if self._is_signed and not await self._queue.claim(
            f"signature:{payload['signature']}", 2 * wire.WINDOW_S
        ):
            raise RemoteProtocolError("Repeated message; expected each one once")

    async def _send_everywhere(self, event: wire.Event) -> None:
        self._broadcast(event)
        message = {"from": self._queue.process_id, "event": wire.encode(event)}
        await self._queue.publish(CHANNEL, message)

    def _on_queue_message(self, message: Message) -> None:
        match message:
            case {"from": str(sender), "event": dict(payload)} if sender != self._queue.process_id:
                try:
                    event = wire.decode(payload)
                except RemoteProtocolError:
                    return  # written by another program
                if isinstance(event, wire.Event):
                    self._broadcast(event)

    async def _synchronise(self) -> None:
        """Compare the modules with the queue: the latest change counts, wherever it was made."""
        for module, enabled in self.modules.items():
            stored = _read(await self._queue.fetch(_MODULE + module))
            changed_at = self._changed_at.get(module)
            if stored is not None and (changed_at is None or changed_at <= stored[1]):
                self._broadcast(wire.status_changed(module, enabled=stored[0], now_s=stored[1]))
                self._changed_at[module] = stored[1]
            elif changed_at is not None:
                await self._send_everywhere(
                    wire.status_changed(module, enabled=enabled, now_s=changed_at)
                )
                self._changed_at[module] = changed_at
                await self._store(module)

    async def _store(self, module: str) -> None:
        text = f"{_STATES[self.modules[module]]} {self._changed_at[module]}"
        await self._queue.store(_MODULE + module, text)

    def _broadcast(self, event: wire.Event) -> None:
        switched = wire.module_switched(event)
        if switched is not None:
            self.modules[switched[0]] = switched[1]
            self._changed_at[switched[0]] = self._now()
        frame = self._signer.write(wire.encode(event))
        for client in tuple(self._clients):
            try:
                client.waiting.put_nowait(frame)
            except asyncio.QueueFull:
                self.dropped += 1
                self._clients.discard(client)
                client.fell_behind.set()


def _read(text: str | None) -> tuple[bool, float] | None:
    """Return the stored state of a module and when it changed; None if it is not known."""
    state, _, changed_at = (text or "").partition(" ")
    try:
        return (state == _STATES[True], float(changed_at)) if state in _STATES.values() else None
    except ValueError:  # written by another program
        return None
