"""Sender: carries out the decisions of the outbox over the current link."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, assert_never

from jarvis_ear.delivery.events import DeliveryEvent, Finished
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.transitions import (
    Effect,
    Emit,
    Replace,
    Send,
    SetState,
    SpoolState,
    Upload,
)
from jarvis_ear.errors import Disconnected
from jarvis_ear.link.commands import (
    Abandon,
    Command,
    CommandQueue,
    Discard,
    Grew,
    Overflow,
    Put,
    ReplyHeard,
)
from jarvis_ear.link.connection import Link
from jarvis_ear.spool.recovery import Recovered
from jarvis_ear.spool.store import Spool
from jarvis_ear.wires.json_fields import printable
from jarvis_ear.wires.messages import BackendError, FromBackend, ToBackend

_LOGGER = logging.getLogger(__name__)

REST_S: Final = 1.0
"""Maximum seconds between two passes of the loop, which show that the network thread is alive."""

MAX_QUOTED: Final = 500
"""Characters of a backend's error text in one log line."""


class Sender:
    """Passes commands, messages and time to the outbox, and carries out its effects.

    Network thread only; one task runs it. Producers store their input and then call ``wake``; the
    wake-up is cleared before the inputs are read, so none is lost. The spool is written before
    anything irreversible: the mark that an utterance is committed, and the verdict, before any
    other listener gets it.
    """

    def __init__(
        self,
        outbox: Outbox,
        intake: CommandQueue,
        spool: Spool,
        tell: Callable[[DeliveryEvent], None],
        clock: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._intake = intake
        self._spool = spool
        self._tell = tell
        self._clock = clock
        self._wake = asyncio.Event()
        self.iterations = 0
        """Passes of the loop: they show that the network thread is alive."""
        self._given: Link | None = None
        self._served: Link | None = None
        self._flush: asyncio.Task[None] | None = None
        self._former: Counter[str] = Counter(messages_refused=0, links_flooded=0)
        self.replaced: Link | None = None
        """The last link that was discarded on purpose."""
        self.worked: Link | None = None
        """The last link on which a turn ended."""
        self._parted = asyncio.Event()

    @property
    def open(self) -> int:
        """Number of utterances without a verdict. Any thread may read it."""
        return len(self._outbox)

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was hit, by this sender and its predecessors."""
        counts = Counter(self._former)
        counts.update(self._outbox.counters())
        served = self._served
        if served is not None:
            counts.update(_counters(served))
        return counts

    def succeed(self, former: "Sender | None") -> "Sender":
        """Continue the counters of ``former``."""
        if former is not None:
            self._former.update(former.counters())
        return self

    def wake(self) -> None:
        """Request a pass of the loop."""
        self._wake.set()

    def use(self, link: Link | None) -> None:
        """Switch to another link; None if there is none."""
        self._given = link
        self.wake()

    async def part_from(self, link: Link) -> None:
        """Wait until all messages from ``link`` are processed and it is released."""
        self.use(None)
        while self._served is link:
            self._parted.clear()
            await self._parted.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            self.iterations += 1
            await self._look_at_everything()
            await self._rest()

    async def inherit(self, estate: Recovered) -> None:
        """Continue with what a previous process left behind."""
        for finished in estate.ended:
            await self._obey((Emit(finished),))
        for utterance in estate.utterances:
            await self._obey(self._outbox.put(utterance, self._clock()))

    async def close(self, *, for_good: bool) -> None:
        """Give every turn its verdict, or leave it to the next process.

        Unless ``for_good``, another sender follows, and undrained commands are left to it.
        """
        await self._obey(self._outbox.close(self._clock(), self._spool.kept))
        if not for_good:
            return
        await self._take_commands()
        await self._obey(self._outbox.close(self._clock(), self._spool.kept))

    async def _look_at_everything(self) -> None:
        await self._listen()
        await self._note_flush()
        await self._change_link()
        await self._take_commands()
        await self._obey(self._outbox.tick(self._clock()))

    async def _rest(self) -> None:
        left_s = self._outbox.deadline - self._clock()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(0.0, left_s), REST_S)):
                await self._wake.wait()

    async def _listen(self) -> None:
        link = self._served
        while link is not None and link is self._served and not link.received.empty():
            message = link.received.get_nowait()
            _log(message)
            await self._obey(self._outbox.hear(message, self._clock()))

    async def _note_flush(self) -> None:
        """Commit only on a usable link: messages on any other are lost silently."""
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
                self._spool.keep(utterance)
                return self._outbox.put(utterance, self._clock())
            case Abandon(turn_id, newer):
                return self._outbox.abandon(turn_id, self._clock(), newer=newer)
            case Overflow(turn_id):
                return self._outbox.overflowed(turn_id)
            case Grew(turn_id, offset, pcm):
                self._spool.extend(turn_id, offset, pcm)
                return self._outbox.grew(turn_id, offset, pcm, self._clock())
            case ReplyHeard(turn_id, heard, why):
                self._spool.heard(turn_id, heard, why)
                return ()
            case Discard(turn_id):
                self._spool.discard(turn_id)
                return self._outbox.discarded(turn_id, self._clock())
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
                case SetState(turn_id, state):
                    await self._set_state(turn_id, state)
                case Emit(event):
                    if isinstance(event, Finished):
                        self._spool.finish(event)
                        self.worked = self._served
                    self._tell(event)
                case _:
                    assert_never(effect)

    async def _set_state(self, turn_id: str, state: SpoolState) -> None:
        ok = self._spool.set_state(turn_id, state)
        if state is SpoolState.SENT:
            await self._obey(self._outbox.recorded(turn_id, self._clock(), ok=ok))

    async def _say(self, message: ToBackend) -> None:
        if self._served is None:
            return
        with suppress(Disconnected):  # the end of the link is reported separately, and handled then
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
        if self._served is not None:
            self._former.update(_counters(self._served))
        self._served = None
        self._parted.set()
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None


def _log(message: FromBackend) -> None:
    if isinstance(message, BackendError):
        _LOGGER.debug("the backend says: %s", printable(message.text)[:MAX_QUOTED])


def _counters(link: Link) -> Mapping[str, int]:
    return {
        "messages_refused": link.refused,
        "links_flooded": link.overflows,
        "stray_messages": link.strays,
    }
