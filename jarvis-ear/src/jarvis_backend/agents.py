"""The satellites that are connected by Socket.IO, and their rooms."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from socketio.async_pubsub_manager import AsyncPubSubManager

from jarvis_backend.message_queue import Message, MessageQueue

CHANNEL: Final = "socketio"
"""Channel of the message queue; an emitter of the library uses it with the prefix of the queue."""

QUEUE_MESSAGES: Final = 256
"""Messages of other processes that may wait."""


class QueuedRooms(AsyncPubSubManager):  # type: ignore[misc]  # the package has no types
    """The library's manager of rooms on our message queue. Lives on the loop.

    Messages to a satellite of the same process do not pass the queue, so no sound leaves it.
    Bound: ``QUEUE_MESSAGES``. Policy: the newest message is dropped. Counter: ``dropped``.
    """

    name = "queue"

    def __init__(self, queue: MessageQueue) -> None:
        super().__init__(channel=CHANNEL)
        self._queue = queue
        self._messages: asyncio.Queue[Message] = asyncio.Queue(QUEUE_MESSAGES)
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
            yield await self._messages.get()

    def _hear(self, message: Message) -> None:
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self.dropped += 1


def room_of(agent_id: str) -> str:
    """Return the room of the satellite ``agent_id``."""
    return f"agent:{agent_id}"


KEEP_S: Final = 15.0
"""Seconds after which the satellites of a silent process are forgotten."""

REFRESH_S: Final = 5.0
"""Seconds after which an unchanged list is published again."""

_KEY: Final = "agents:"


class AgentState(StrEnum):
    """What the backend does for a satellite."""

    LISTENING = "listening"
    RECORDING = "recording"
    PROCESSING = "processing"


@dataclass(slots=True)
class Agent:
    """One connected satellite. Lives on the loop."""

    agent_id: str
    """Its name; until it has sent one, the id of the connection."""
    state: AgentState
    since: float
    """When it connected, in seconds since 1970."""


class Agents:
    """The satellites by connection. Lives on the loop.

    Each process stores the list of its satellites in the queue, where it expires if the process
    dies.
    """

    def __init__(self, queue: MessageQueue, now: Callable[[], float]) -> None:
        """Share the list by ``queue``; ``now`` is a wall clock."""
        self._queue = queue
        self._now = now
        self._by_sid: dict[str, Agent] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        queue.when_connected(self._publish_agents)

    def add(self, sid: str) -> None:
        """Add the satellite of the connection ``sid``."""
        self._by_sid[sid] = Agent(sid, AgentState.LISTENING, self._now())
        self._changed.set()

    def remove(self, sid: str) -> None:
        """Remove the satellite of a connection."""
        self._by_sid.pop(sid, None)
        self._changed.set()

    def update(
        self, sid: str, *, agent_id: str | None = None, state: AgentState | None = None
    ) -> None:
        """Set the name or the state of a satellite."""
        agent = self._by_sid.get(sid)
        if agent is not None:
            agent.agent_id = agent_id or agent.agent_id
            agent.state = state or agent.state
            self._changed.set()

    async def everywhere(self) -> list[dict[str, Any]]:
        """Return the satellites of all processes, sorted by name, as JSON."""
        found = self._own()
        for text in await self._queue.fetch_all(_KEY):
            stored = json.loads(text)
            if stored["process"] != self._queue.process_id:
                found += stored["agents"]
        return sorted(found, key=lambda agent: str(agent["agentId"]))

    async def start(self) -> None:
        """Start publishing the list."""
        self._task = asyncio.create_task(self._keep_publishing())

    async def aclose(self) -> None:
        """Stop publishing, and delete the list."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._queue.delete(_KEY + self._queue.process_id)

    async def _keep_publishing(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REFRESH_S):
                    await self._changed.wait()
            except TimeoutError:
                pass  # unchanged, but it would expire
            self._changed.clear()
            await self._publish_agents()

    async def _publish_agents(self) -> None:
        text = json.dumps({"process": self._queue.process_id, "agents": self._own()})
        await self._queue.store(_KEY + self._queue.process_id, text, KEEP_S)

    def _own(self) -> list[dict[str, Any]]:
        return [
            {"agentId": agent.agent_id, "state": agent.state.value, "since": agent.since}
            for agent in self._by_sid.values()
        ]
