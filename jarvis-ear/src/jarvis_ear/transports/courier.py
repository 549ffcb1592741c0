"""Courier: does what the outbox decides, over whatever link there is."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import assert_never

from jarvis_ear.delivery.effects import Effect, Replace, Send, Tell, Upload
from jarvis_ear.delivery.events import DeliveryEvent
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.errors import Disconnected
from jarvis_ear.transports.intake import Abandon, Command, Intake, Overflow, Put
from jarvis_ear.transports.socketio_link import SocketIoLink
from jarvis_ear.wire.voice_messages import BackendError, FromBackend, ToBackend

_LOGGER = logging.getLogger(__name__)


class Courier:
    """Brings commands, messages and time to the outbox, and its orders to the link.

    Network thread only; one task runs it. Whoever has something for it leaves it where it belongs
    and calls ``wake``; the wake-up is cleared before everything is looked at, so none is lost.
    """

    def __init__(
        self,
        outbox: Outbox,
        intake: Intake,
        tell: Callable[[DeliveryEvent], None],
        clock: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._intake = intake
        self._tell = tell
        self._clock = clock
        self._wake = asyncio.Event()
        self._given: SocketIoLink | None = None
        self._served: SocketIoLink | None = None
        self._flush: asyncio.Task[None] | None = None
        self.replaced: SocketIoLink | None = None
        """The last link that was thrown away on purpose."""

    def wake(self) -> None:
        """Have everything looked at soon."""
        self._wake.set()

    def use(self, link: SocketIoLink | None) -> None:
        """Take another link, or learn that there is none."""
        self._given = link
        self.wake()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            await self._look_at_everything()
            await self._rest()

    async def close(self) -> None:
        """Give every turn its verdict: the ear is stopping."""
        await self._obey(self._outbox.close(self._clock()))
        await self._take_commands()
        await self._obey(self._outbox.close(self._clock()))

    async def _look_at_everything(self) -> None:
        await self._listen()
        await self._note_flush()
        await self._change_link()
        await self._take_commands()
        await self._obey(self._outbox.tick(self._clock()))

    async def _rest(self) -> None:
        left_s = self._outbox.deadline - self._clock()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if left_s == float("inf") else max(0.0, left_s)):
                await self._wake.wait()

    async def _listen(self) -> None:
        link = self._served
        while link is not None and link is self._served and not link.received.empty():
            message = link.received.get_nowait()
            _log(message)
            await self._obey(self._outbox.hear(message, self._clock()))

    async def _note_flush(self) -> None:
        """Commit only on a link that works: what is said to another is lost without a word."""
        if self._flush is None or not self._flush.done():
            return
        if self._served is None or not self._served.usable:
            return
        self._flush = None
        await self._obey(self._outbox.flushed(self._clock()))

    async def _change_link(self) -> None:
        if self._given is self._served:
            return
        if self._served is not None:
            self._let_go()
            await self._obey(self._outbox.link_lost(self._clock()))
        if self._given is not None:
            self._served = self._given
            await self._obey(self._outbox.link_up(self._clock()))

    async def _take_commands(self) -> None:
        for command in self._intake.drain():
            await self._obey(self._decide(command))

    def _decide(self, command: Command) -> tuple[Effect, ...]:
        match command:
            case Put(utterance):
                return self._outbox.put(utterance, self._clock())
            case Abandon(turn_id):
                return self._outbox.abandon(turn_id, self._clock())
            case Overflow(turn_id):
                return self._outbox.overflowed(turn_id)
            case _:
                assert_never(command)

    async def _obey(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Send(message):
                    await self._say(message)
                case Upload(message):
                    await self._say(message)
                    self._watch_flush()
                case Replace(reason):
                    self._throw_away(reason)
                case Tell(event):
                    self._tell(event)
                case _:
                    assert_never(effect)

    async def _say(self, message: ToBackend) -> None:
        if self._served is None:
            return
        with suppress(Disconnected):  # the end of the link is on its way here, and decides
            await self._served.send(message)

    def _watch_flush(self) -> None:
        if self._served is None:
            return
        self._flush = asyncio.create_task(self._served.flushed())
        self._flush.add_done_callback(lambda _: self.wake())

    def _throw_away(self, reason: str) -> None:
        link = self._served
        if link is None:
            return
        self._let_go()
        self._given = None
        self.replaced = link
        link.abort(reason)

    def _let_go(self) -> None:
        self._served = None
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None


def _log(message: FromBackend) -> None:
    if isinstance(message, BackendError):
        _LOGGER.debug("the backend says: %s", message.text)
