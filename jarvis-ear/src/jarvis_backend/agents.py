"""Agents: the ears that are connected, and the Socket.IO rooms they are in."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from socketio.async_pubsub_manager import AsyncPubSubManager

from jarvis_backend.message_queue import Message, MessageQueue

CHANNEL: Final = "socketio"
"""With the prefix of our keys it is what an emitter of the library is given."""

QUEUE_MESSAGES: Final = 256
"""Messages of other processes that may wait; they are few and small."""


class QueuedRooms(AsyncPubSubManager):  # type: ignore[misc]  # the package has no types
    """The library's manager of rooms, carried by our queue. Lives on the loop.

    What a satellite is told by the process that it talks to does not go through the queue: no sound
    leaves the process. Queue: ``QUEUE_MESSAGES``; the newest is dropped and counted in ``dropped``.
    """

    name = "queue"

    def __init__(self, queue: MessageQueue) -> None:
        super().__init__(channel=CHANNEL)
        self._queue = queue
        self._told: asyncio.Queue[Message] = asyncio.Queue(QUEUE_MESSAGES)
        self.dropped = 0
        queue.subscribe(CHANNEL, self._hear)

    async def aclose(self) -> None:
        """Stop listening."""
        task = getattr(self, "thread", None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _publish(self, data: Any) -> None:  # noqa: ANN401 - the library's
        await self._queue.publish(CHANNEL, data)

    async def _listen(self) -> AsyncGenerator[Message, None]:
        while True:
            yield await self._told.get()

    def _hear(self, message: Message) -> None:
        try:
            self._told.put_nowait(message)
        except asyncio.QueueFull:
            self.dropped += 1


def room_of(agent_id: str) -> str:
    """Return the room in which the satellite of that name is."""
    return f"agent:{agent_id}"


KEEP_S: Final = 15.0
"""How long others believe in what a process has said of its satellites."""

REFRESH_S: Final = 5.0
"""How often it is said again."""

_KEY: Final = "agents:"


class Doing(StrEnum):
    """What goes on with a satellite."""

    LISTENING = "listening"
    RECORDING = "recording"
    PROCESSING = "processing"


@dataclass(slots=True)
class Agent:
    """One connected satellite. Lives on the loop."""

    agent_id: str
    """The name it gives itself; the connection's own until it has said one."""
    doing: Doing
    since: float
    """When it connected, in seconds since 1970."""


class Agents:
    """The satellites by connection. Lives on the loop.

    This process's own are known at once. The others are told through the queue, each process all of
    its own at a time, so that one that died is forgotten by itself.
    """

    def __init__(self, queue: MessageQueue, now: Callable[[], float]) -> None:
        """Share by ``queue``; ``now`` is a wall clock."""
        self._queue = queue
        self._now = now
        self._by_sid: dict[str, Agent] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        queue.when_there(self._tell)

    def joined(self, sid: str) -> None:
        """Note that a satellite has connected."""
        self._by_sid[sid] = Agent(sid, Doing.LISTENING, self._now())
        self._changed.set()

    def left(self, sid: str) -> None:
        """Note that it has gone."""
        self._by_sid.pop(sid, None)
        self._changed.set()

    def is_called(self, sid: str, agent_id: str) -> None:
        """Note its name."""
        agent = self._by_sid.get(sid)
        if agent is not None and agent.agent_id != agent_id:
            agent.agent_id = agent_id
            self._changed.set()

    def is_doing(self, sid: str, doing: Doing) -> None:
        """Note what it does."""
        agent = self._by_sid.get(sid)
        if agent is not None:
            agent.doing = doing
            self._changed.set()

    async def everywhere(self) -> list[dict[str, Any]]:
        """Return the satellites of all processes, as JSON, by name."""
        fields = await self._queue.fetch_all(_KEY)
        found = self._own() + [agent for text in fields for agent in self._of_others(text)]
        return sorted(found, key=lambda agent: str(agent["agentId"]))

    async def start(self) -> None:
        """Begin to tell the others."""
        self._task = asyncio.create_task(self._keep_telling())

    async def aclose(self) -> None:
        """Tell them no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._queue.forget(_KEY + self._queue.process_id)

    async def _keep_telling(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REFRESH_S):
                    await self._changed.wait()
            except TimeoutError:
                pass  # nothing is new, and the others begin to doubt
            self._changed.clear()
            await self._tell()

    async def _tell(self) -> None:
        said = json.dumps({"process": self._queue.process_id, "agents": self._own()})
        await self._queue.store(_KEY + self._queue.process_id, said, KEEP_S)

    def _of_others(self, text: str) -> list[dict[str, Any]]:
        fields = json.loads(text)
        return [] if fields["process"] == self._queue.process_id else list(fields["agents"])

    def _own(self) -> list[dict[str, Any]]:
        return [_report(agent) for agent in self._by_sid.values()]


def _report(agent: Agent) -> dict[str, Any]:
    return {"agentId": agent.agent_id, "state": agent.doing.value, "since": agent.since}
