"""Sender: carries out the decisions of the outbox over the current link."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, assert_never

from jarvis_ear.delivery.events import Cause, DeliveryEvent, Finished, Verdict
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.playback import PlaybackEnded
from jarvis_ear.delivery.transitions import (
    Effect,
    Emit,
    Replace,
    Send,
    SetState,
    SpoolState,
    Upload,
)
from jarvis_ear.errors import ClosedInOrder, Disconnected
from jarvis_ear.link.connection import BackendLink
from jarvis_ear.link.mailbox import (
    Abandon,
    CommandQueue,
    Discard,
    Grew,
    Hold,
    Overflow,
    Put,
    ReplyHeard,
    Resume,
    Supersede,
    TurnCommand,
)
from jarvis_ear.link.supervisor import LinkStatus
from jarvis_ear.spool.recovery import Recovered
from jarvis_ear.spool.store import Spool
from jarvis_ear.wires.json_fields import printable
from jarvis_ear.wires.messages import BackendError, FromBackend, ToBackend

_LOGGER = logging.getLogger(__name__)

REST_S: Final = 5.0
"""Maximum seconds between two passes of the loop, which show that the network thread is alive."""

MAX_QUOTED: Final = 500
"""Characters of a backend's error text in one log line."""

_MAY_BE_ANSWERED: Final = (Verdict.IN_DOUBT, Verdict.REPLY_LOST)
"""Verdicts of turns of an earlier run whose reply may come in this one."""


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
        commands: CommandQueue,
        spool: Spool,
        tell: Callable[[DeliveryEvent], None],
        clock: Callable[[], float],
        *,
        status: LinkStatus,
    ) -> None:
        self._outbox = outbox
        self._commands = commands
        self._spool = spool
        self._tell = tell
        self._clock = clock
        self._status = status
        self._wake = asyncio.Event()
        self.iterations = 0
        """Passes of the loop: they show that the network thread is alive."""
        self._next: BackendLink | None = None  # the link to use from the next pass on
        self._link: BackendLink | None = None  # the link in use
        self._released = asyncio.Event()
        self._flush: asyncio.Task[None] | None = None
        self._counted: Counter[str] = Counter(messages_refused=0, links_flooded=0)
        self._replaced: BackendLink | None = None  # the last link that was discarded on purpose
        self._finished_on: BackendLink | None = None  # the last link on which a turn ended

    @property
    def open(self) -> int:
        """Number of utterances without a verdict. Any thread may read it."""
        return len(self._outbox)

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was hit, by this sender and its predecessors."""
        counts = Counter(self._counted)
        counts.update(self._outbox.counters())
        link = self._link
        if link is not None:
            counts.update(_counters(link))
        return counts

    @property
    def doubt_until(self) -> float:
        """Time from which speech without a turn may be an announcement."""
        return self._outbox.doubt_until

    def continue_from(self, former: "Sender | None") -> None:
        """Add the counters of ``former`` to those of this sender, and doubt speech as long."""
        if former is not None:
            self._counted.update(former.counters())
            self._outbox.doubt_until = former.doubt_until

    def wake(self) -> None:
        """Request a pass of the loop."""
        self._wake.set()

    async def serve(self, link: BackendLink) -> None:
        """Use ``link`` until it ends; raise ``Disconnected`` if that was not planned.

        Planned is the end of a link that the outbox discards, and of one that the backend closes in
        order after a turn. Returns after all messages of the link have been processed.
        """
        self._use(link)
        try:
            await link.run()
        except Disconnected as error:
            await self._release(link)
            is_done = isinstance(error, ClosedInOrder) and link is self._finished_on
            if link is not self._replaced and not is_done:
                raise
            _LOGGER.debug("link replaced: %s", error)
        finally:
            self._use(None)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            self.iterations += 1
            await self._step()
            await self._rest()

    async def recover(self, recovered: Recovered) -> None:
        """Continue with what a previous process left in the spool."""
        for finished in recovered.ended:
            if finished.verdict in _MAY_BE_ANSWERED:
                self._outbox.doubt(self._clock())
            await self._carry_out((Emit(finished),))
        for utterance in recovered.utterances:
            await self._carry_out(self._outbox.put(utterance, self._clock()))

    async def close(self, *, for_good: bool) -> None:
        """Give every turn its verdict, or leave it to the next process.

        Unless ``for_good``, another sender follows, and undrained commands are left to it.
        """
        await self._carry_out(self._outbox.close(self._clock(), self._spool.kept))
        if not for_good:
            return
        await self._take_commands()
        await self._carry_out(self._outbox.close(self._clock(), self._spool.kept))

    def _use(self, link: BackendLink | None) -> None:
        self._next = link
        self.wake()

    async def _release(self, link: BackendLink) -> None:
        self._use(None)
        while self._link is link:
            self._released.clear()
            await self._released.wait()

    async def _step(self) -> None:
        await self._read_messages()
        await self._note_flush()
        await self._change_link()
        await self._take_commands()
        await self._carry_out(self._outbox.tick(self._clock()))

    async def _rest(self) -> None:
        left_s = self._outbox.deadline - self._clock()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(0.0, left_s), REST_S)):
                await self._wake.wait()

    async def _read_messages(self) -> None:
        link = self._link
        while link is not None and link is self._link and not link.received.empty():
            message = link.received.get_nowait()
            _log(message)
            await self._carry_out(self._outbox.hear(message, self._clock()))

    async def _note_flush(self) -> None:
        """Commit only on a usable link: messages on any other are lost silently."""
        if self._flush is None or not self._flush.done():
            return
        if self._link is None or not self._link.usable:
            return
        self._flush = None
        await self._carry_out(self._outbox.flushed(self._clock()))

    async def _change_link(self) -> None:
        if self._next is self._link:
            return
        if self._link is not None:
            self._drop_link()
            await self._carry_out(self._outbox.link_lost(self._clock()))
        if self._next is not None:
            self._link = self._next
            await self._carry_out(self._outbox.link_up(self._clock()))

    async def _take_commands(self) -> None:
        for command in self._commands.drain():
            if not isinstance(command, PlaybackEnded):
                await self._carry_out(self._decide(command))
            elif self._link is not None:
                await self._link.played()

    def _decide(  # noqa: PLR0911 - one case for each command
        self, command: TurnCommand
    ) -> tuple[Effect, ...]:
        match command:
            case Put(utterance):
                self._spool.keep(utterance)
                return self._outbox.put(utterance, self._clock())
            case Abandon(turn_id, newer):
                return self._outbox.abandon(turn_id, self._clock(), newer=newer)
            case Hold(turn_id, goes_on):
                return self._outbox.hold(turn_id, self._clock(), goes_on=goes_on)
            case Resume(turn_id):
                return self._outbox.release(turn_id, self._clock())
            case Supersede(turn_id, by):
                return self._outbox.supersede(turn_id, by, self._clock())
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

    async def _carry_out(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Send(message):
                    await self._send(message)
                case Upload(message):
                    await self._send(message)
                    self._watch_flush()
                case Replace(reason):
                    self._replace(reason)
                case SetState(turn_id, state):
                    await self._set_state(turn_id, state)
                case Emit(event):
                    if isinstance(event, Finished):
                        if event.code == Cause.TOO_OLD:
                            event = replace(event, away=self._status.trouble[0])
                        self._spool.finish(event)
                        self._finished_on = self._link
                    self._tell(event)
                case _:
                    assert_never(effect)

    async def _set_state(self, turn_id: str, state: SpoolState) -> None:
        ok = self._spool.set_state(turn_id, state)
        if state is SpoolState.SENT:
            await self._carry_out(self._outbox.recorded(turn_id, self._clock(), ok=ok))

    async def _send(self, message: ToBackend) -> None:
        if self._link is None:
            return
        with suppress(Disconnected):  # the end of the link is reported separately, and handled then
            await self._link.send(message)

    def _watch_flush(self) -> None:
        if self._link is None:
            return
        self._flush = asyncio.create_task(self._link.flushed())
        self._flush.add_done_callback(lambda _: self.wake())

    def _replace(self, reason: str) -> None:
        link = self._link
        if link is None:
            return
        self._drop_link()
        self._next = None
        self._replaced = link
        link.abort(reason)

    def _drop_link(self) -> None:
        if self._link is not None:
            self._counted.update(_counters(self._link))
        self._link = None
        self._released.set()
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None


def _log(message: FromBackend) -> None:
    if isinstance(message, BackendError):
        _LOGGER.debug("error of the backend: %s", printable(message.text)[:MAX_QUOTED])


def _counters(link: BackendLink) -> Mapping[str, int]:
    return {
        "messages_refused": link.refused,
        "links_flooded": link.overflows,
        "stray_messages": link.strays,
    }
