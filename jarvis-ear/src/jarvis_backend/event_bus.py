"""EventBus: modules, clients and messages of the bus."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from jarvis_backend.message_queue import Message, MessageQueue
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import MessageSigner
from jarvis_ear.wires.json_fields import RemoteProtocolError


class SharedSeal:
    """Signs what goes out; what comes in is good once, in all processes. Lives on the loop."""

    def __init__(self, key: bytes | None, now: Callable[[], float], queue: MessageQueue) -> None:
        """Use ``key``, or none at all; ``now`` is a wall clock."""
        self._is_used = key is not None
        self._seal = MessageSigner(key, now)
        self._queue = queue

    def write(self, payload: Mapping[str, Any]) -> str:
        """Return the frame that says ``payload``."""
        return self._seal.write(payload)

    async def check(self, payload: Mapping[str, Any]) -> None:
        """Return if ``payload`` may be believed, else raise RemoteProtocolError."""
        self._seal.check(payload)
        if not self._is_used:
            return
        if not await self._queue.claim(f"signature:{payload['signature']}", 2 * wire.WINDOW_S):
            raise RemoteProtocolError("Repeated message; expected each one once")


QUEUE_EVENTS: Final = 64
"""Events that may wait for one client: more than a second of a busy bus."""

CHANNEL: Final = "bus"
"""Of the message queue."""

_MODULE: Final = "module:"
_WORDS: Final = {True: "on", False: "off"}
"""How the message queue keeps the modules."""


class SyncManager(Protocol):
    """Carries events between the processes that serve one bus."""

    def subscribe(self, deliver: Callable[[wire.Event], None]) -> None:
        """Call ``deliver`` with every event that is forwarded anywhere."""
        ...

    async def forward(self, event: wire.Event) -> None:
        """Have ``event`` delivered everywhere, here too."""
        ...


class LocalSync:
    """The sync manager of a single process. Lives on the loop."""

    def __init__(self) -> None:
        self._deliver: list[Callable[[wire.Event], None]] = []

    def subscribe(self, deliver: Callable[[wire.Event], None]) -> None:
        """Call ``deliver`` with every event."""
        self._deliver.append(deliver)

    async def forward(self, event: wire.Event) -> None:
        """Deliver ``event`` at once."""
        self.deliver(event)

    def deliver(self, event: wire.Event) -> None:
        """Do so without waiting for anything."""
        for deliver in self._deliver:
            deliver(event)


class QueueSync:
    """The sync manager of several processes. Lives on the loop.

    Those who are connected here are told at once; a queue that is away does not hold them up.
    """

    def __init__(self, queue: MessageQueue) -> None:
        self._queue = queue
        self._local = LocalSync()
        queue.subscribe(CHANNEL, self._hear)

    def subscribe(self, deliver: Callable[[wire.Event], None]) -> None:
        """Call ``deliver`` with every event."""
        self._local.subscribe(deliver)

    async def forward(self, event: wire.Event) -> None:
        """Deliver ``event`` here, then elsewhere."""
        await self._local.forward(event)
        letter = {"from": self._queue.process_id, "event": wire.encode(event)}
        await self._queue.publish(CHANNEL, letter)

    def _hear(self, letter: Message) -> None:
        match letter:
            case {"from": str(sender), "event": dict(said)} if sender != self._queue.process_id:
                self._deliver_what(said)

    def _deliver_what(self, said: Mapping[str, Any]) -> None:
        try:
            event = wire.decode(said)
        except RemoteProtocolError:
            return  # another program writes to our channel
        if isinstance(event, wire.Event):
            self._local.deliver(event)


class BusSubscriber:
    """What waits to be sent to one client. Lives on the loop.

    Bound: ``QUEUE_EVENTS``. Policy: a client that falls behind is dropped. Counter: the bus's
    ``dropped``.
    """

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[str] = asyncio.Queue(QUEUE_EVENTS)
        self.fell_behind = asyncio.Event()


class EventBus:
    """Tracks the connected clients and the modules. Lives on the loop."""

    def __init__(
        self,
        sync: SyncManager,
        write: Callable[[Mapping[str, Any]], str],
        now: Callable[[], float],
        queue: MessageQueue,
    ) -> None:
        """Forward by ``sync``, make frames by ``write``; ``now`` is a wall clock."""
        self._sync = sync
        self._queue = queue
        self._write = write
        self._now = now
        self._clients: set[BusSubscriber] = set()
        self.modules = dict.fromkeys(wire.MODULES, True)
        """Which are enabled, as far as anybody has said."""
        self._said_at: dict[str, float] = {}  # of those about which somebody has said anything
        self.dropped = 0
        sync.subscribe(self._broadcast)
        queue.when_there(self._learn)

    def join(self) -> BusSubscriber:
        """Take in one more client, and tell it which modules are off."""
        client = BusSubscriber()
        for module, enabled in self.modules.items():
            if not enabled:
                said_at = self._said_at[module]
                event = wire.status_changed(module, enabled=False, now_s=said_at)
                client.waiting.put_nowait(self._write(wire.encode(event)))
        self._clients.add(client)
        return client

    async def answer(self, client: BusSubscriber, payload: Mapping[str, Any]) -> None:
        """Tell one client something, after what it is to be told already."""
        await client.waiting.put(self._write(payload))

    def leave(self, client: BusSubscriber) -> None:
        """Forget ``client``, which may have been dropped already."""
        self._clients.discard(client)

    async def switch(self, control: wire.ModuleControl) -> None:
        """Switch a module, and tell everybody."""
        await self.forward(
            wire.status_changed(control.module, enabled=control.enabled, now_s=self._now())
        )

    async def forward(self, event: wire.Event) -> None:
        """Tell everybody."""
        stamped = event.timestamp or wire.stamp(self._now())
        await self._sync.forward(replace(event, timestamp=stamped))
        status = wire.module_switched(event)
        if status is not None:
            await self._keep(status[0])

    async def _learn(self) -> None:
        """Find out how the modules are, and tell: what was said last counts, wherever it was."""
        for module, enabled in self.modules.items():
            announced = _read(await self._queue.fetch(_MODULE + module))
            said_at = self._said_at.get(module)
            if announced is not None and (said_at is None or said_at <= announced[1]):
                self._broadcast(
                    wire.status_changed(module, enabled=announced[0], now_s=announced[1])
                )
                self._said_at[module] = announced[1]
            elif said_at is not None:
                event = wire.status_changed(module, enabled=enabled, now_s=said_at)
                await self._sync.forward(event)
                self._said_at[module] = said_at
                await self._keep(module)

    async def _keep(self, module: str) -> None:
        text = f"{_WORDS[self.modules[module]]} {self._said_at[module]}"
        await self._queue.store(_MODULE + module, text)

    def _broadcast(self, event: wire.Event) -> None:
        status = wire.module_switched(event)
        if status is not None:
            self.modules[status[0]] = status[1]
            self._said_at[status[0]] = self._now()
        frame = self._write(wire.encode(event))
        for client in tuple(self._clients):
            try:
                client.waiting.put_nowait(frame)
            except asyncio.QueueFull:
                self.dropped += 1
                self._clients.discard(client)
                client.fell_behind.set()


def _read(text: str | None) -> tuple[bool, float] | None:
    """Return how a module is, and when somebody said so; None if that is not known."""
    word, _, at = (text or "").partition(" ")
    try:
        return (word == _WORDS[True], float(at)) if word in _WORDS.values() else None
    except ValueError:  # another program writes to our keys
        return None
