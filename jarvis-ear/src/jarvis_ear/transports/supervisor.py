"""Supervisor: keeps a link to the backend, for ever."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from jarvis_ear.delivery.backoff import Setback, delay_s
from jarvis_ear.delivery.events import DeliveryEvent, LinkDown, LinkUp
from jarvis_ear.delivery.outage import Outage
from jarvis_ear.delivery.series import Series
from jarvis_ear.errors import (
    ClosedInOrder,
    Disconnected,
    JarvisEarError,
    Rejected,
    RemoteProtocolError,
)
from jarvis_ear.journal import link as kinds
from jarvis_ear.journal.kind import Kind
from jarvis_ear.transports.courier import Courier
from jarvis_ear.transports.dialer import Dialer
from jarvis_ear.transports.link import Link
from jarvis_ear.transports.status import Status

_KINDS: Final[Mapping[Setback, Kind]] = {
    Setback.UNREACHABLE: kinds.BACKEND_UNREACHABLE,
    Setback.REJECTED: kinds.PASSWORD_REJECTED,
    Setback.FOREIGN: kinds.BACKEND_FOREIGN,
}

_LOGGER = logging.getLogger(__name__)


class Supervisor:
    """Dials, hands the link to the courier, and dials again. The network thread only.

    One WARNING when a series of failures begins, DEBUG for each repetition, one INFO when it is
    over. A link that the courier threw away on purpose is replaced at once and without a word, and
    so is one that the backend has closed in order after a turn.
    """

    def __init__(
        self,
        dialer: Dialer,
        courier: Courier,
        status: Status,
        outage: Outage,
        *,
        tell: Callable[[DeliveryEvent], None],
        clock: Callable[[], float],
        rand: Callable[[], float],
    ) -> None:
        self._dialer = dialer
        self._courier = courier
        self._status = status
        self._outage = outage
        self._tell = tell
        self._clock = clock
        self._rand = rand
        self._series = Series()

    async def run(self, stop: asyncio.Event, is_end: Callable[[], bool] = lambda: True) -> bool:
        """Work until ``stop`` is set; then give every turn its verdict.

        Returns what ``is_end`` says at that time: False leaves to a successor what nobody fetched.
        """
        if stop.is_set():
            return await self._close(is_end)
        tasks = [asyncio.create_task(work) for work in (self._keep(), self._courier.run())]
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((*tasks, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            broken = [task for task in tasks if task.done()]
            await _cancel((*tasks, stopped))
            ended = await self._close(is_end)
            self._status.missed()
        for task in broken:
            task.result()
        return ended

    async def _close(self, is_end: Callable[[], bool]) -> bool:
        ended = is_end()
        await self._courier.close(for_good=ended)
        return ended

    async def _keep(self) -> None:
        while True:
            wait_s = await self._one_link()
            await asyncio.sleep(wait_s)

    async def _one_link(self) -> float:
        """Live through one link, and return how many seconds to wait before the next."""
        try:
            link = await self._dialer.dial()
        except JarvisEarError as error:
            return self._failed(error)
        try:
            return await self._live(link)
        finally:
            self._courier.use(None)
            await link.close()

    async def _live(self, link: Link) -> float:
        since = self._clock()
        self._reached(link.remark)
        self._courier.use(link)
        try:
            await link.run()
        except Disconnected as error:
            self._series.held(self._clock() - since)
            await self._courier.part_from(link)
            return self._lost(link, error)

    def _reached(self, remark: str = "") -> None:
        news = self._outage.reached(self._clock())
        self._status.reached()
        if news is None:
            return
        calm = self._series.worth_an_all_clear() or news.after_s is None
        level = logging.INFO if calm else logging.DEBUG
        away_ms = None if news.after_s is None else round(news.after_s * 1000)
        told = kinds.BACKEND_REACHED.told(BACKEND=news.url, AWAY_MS=away_ms)
        words = "backend reached at %s%s%s"
        _LOGGER.log(level, words, news.url, _after(news), remark and f"; {remark}", extra=told)
        self._tell(news)

    def _lost(self, link: Link, error: Disconnected) -> float:
        done = isinstance(error, ClosedInOrder) and link is self._courier.worked
        if link is not self._courier.replaced and not done:
            return self._failed(error)
        _LOGGER.debug("link replaced: %s", error)
        self._status.missed()
        self._outage.replaced(self._clock())
        return 0.0

    def _failed(self, error: JarvisEarError) -> float:
        setback = _setback(error)
        wait_s = delay_s(setback, self._series.failed(setback), self._rand())
        level = logging.WARNING if self._series.worth_a_warning(setback) else logging.DEBUG
        told = _KINDS[setback].told(
            BACKEND=self._outage.url, REASON=error, RETRY_MS=round(wait_s * 1000)
        )
        words = "backend not usable: %s (%s); next attempt in %.1f s"
        _LOGGER.log(level, words, error, self._outage.url, wait_s, extra=told)
        self._status.failed(str(error), _KINDS[setback].advice)
        (self._status.refused if setback is Setback.REJECTED else self._status.missed)()
        self._say(self._outage.failed(str(error), self._clock()))
        return wait_s

    def _say(self, news: LinkDown | None) -> None:
        if news is not None:
            self._tell(news)


def _setback(error: JarvisEarError) -> Setback:
    if isinstance(error, Rejected):
        return Setback.REJECTED
    if isinstance(error, RemoteProtocolError):
        return Setback.FOREIGN
    return Setback.UNREACHABLE


def _after(news: LinkUp) -> str:
    return "" if news.after_s is None else f", after {news.after_s:.1f} s"


async def _cancel(tasks: "tuple[asyncio.Task[None] | asyncio.Task[bool], ...]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
