"""Socket.IO rooms over the message queue: who knows an agent's name can reach it from anywhere."""

import asyncio
from collections.abc import AsyncGenerator
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
