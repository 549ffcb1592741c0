"""BusTalk: what is said and heard over one connection to the event bus."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.transports.bus_link import BusLink
from jarvis_ear.transports.bus_modules import BusModules
from jarvis_ear.transports.bus_queue import BusQueue
from jarvis_ear.wire import event_bus as wire

_LOGGER = logging.getLogger(__name__)


class Switch(Protocol):
    """What the bus needs of whoever can close the microphone. A call may take as long as a disk."""

    def turn(self, *, enabled: bool) -> bool:
        """Do what the bus wants as far as it may, and return whether it is so now."""
        ...

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Tell who wants the microphone closed, before any change after this."""
        ...


class BusTalk:
    """Obeys what comes over one link, and says what waits. The thread of the bus only."""

    def __init__(
        self,
        link: BusLink,
        queue: BusQueue,
        switch: Switch,
        modules: BusModules,
        *,
        announce: Callable[[Sequence[str]], None],
        on_refused: Callable[[], None],
    ) -> None:
        self._link = link
        self._queue = queue
        self._switch = switch
        self._modules = modules
        self._announce = announce
        self._on_refused = on_refused
        self._news = asyncio.Event()

    async def run(self, ping_s: float) -> None:
        """Say how things are, then talk until the link ends: it raises ``Disconnected``."""
        loop = asyncio.get_running_loop()
        self._queue.listen(lambda: _call_soon(loop, self._news.set))
        self._switch.tell(self._announce)
        tasks = [
            asyncio.create_task(work) for work in (self._hear(), self._say(), self._ask(ping_s))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._queue.unlisten()
            over = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in over:
            task.result()

    async def _hear(self) -> NoReturn:
        while True:
            try:
                await self._take(await self._link.hear())
            except RemoteProtocolError as error:
                self._on_refused()
                _LOGGER.debug("the bus said what is no message: %s", error)
            await asyncio.sleep(0)  # however much it says, the others come to speak

    async def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Ping):
            await self._link.say(wire.pong(time.time()))
            return
        self._modules.note(message)
        wanted = wire.microphone_order(message)
        if wanted is not None and not self._switch.turn(enabled=wanted):
            self._switch.tell(self._announce)  # everybody was told otherwise

    async def _say(self) -> NoReturn:
        while True:
            self._news.clear()
            while (event := self._queue.take()) is not None:
                await self._link.say(wire.encode(event))
            await self._news.wait()

    async def _ask(self, every_s: float) -> NoReturn:
        while True:
            await self._link.say(wire.ping())
            await asyncio.sleep(every_s)


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(call)
