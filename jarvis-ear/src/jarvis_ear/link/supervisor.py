"""Supervisor: keeps a link to the backend and reports its state."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from typing import Final

from jarvis_ear.delivery.events import DeliveryEvent, LinkDown, LinkUp
from jarvis_ear.errors import (
    ClosedInOrder,
    Disconnected,
    JarvisEarError,
    Rejected,
    RemoteProtocolError,
)
from jarvis_ear.journal import turns as kinds
from jarvis_ear.journal.kind import Kind
from jarvis_ear.link.backoff import Outage, Series, Setback, delay_s
from jarvis_ear.link.connection import Link
from jarvis_ear.link.login import NoLogin, TokenCache
from jarvis_ear.link.sender import Sender

_LOGGER = logging.getLogger(__name__)


class LinkState(StrEnum):
    """State of the link."""

    TRYING = "trying"
    """No attempt has ended yet."""
    CONNECTED = "connected"
    """An utterance can be uploaded now."""
    DISCONNECTED = "disconnected"
    """The backend is unreachable, or does not behave like one."""
    AUTH_FAILED = "auth_failed"
    """The backend rejects the password, which has to be changed."""


class LinkStatus:
    """State of the link and its last failure. The network thread writes; any thread may read."""

    def __init__(self) -> None:
        self._tried = threading.Event()
        self.state = LinkState.TRYING
        """The current state."""
        self.trouble = ("", "")
        """Why the last attempt failed, and the remedy; both empty if it did not fail."""

    @property
    def connected(self) -> bool:
        """Whether an utterance can be uploaded now."""
        return self.state is LinkState.CONNECTED

    def reached(self) -> None:
        """Note that the link is up."""
        self.trouble = ("", "")
        self._note(LinkState.CONNECTED)

    def failed(self, reason: str, advice: str) -> None:
        """Note why an attempt failed or a link ended; call it before ``missed`` or ``refused``."""
        self.trouble = (reason, advice)

    def missed(self) -> None:
        """Note that the link is down or that an attempt failed."""
        self._note(LinkState.DISCONNECTED)

    def refused(self) -> None:
        """Note that the password was rejected."""
        self._note(LinkState.AUTH_FAILED)

    def forget(self) -> None:
        """Reset to the state before the first attempt."""
        self.state = LinkState.TRYING
        self.trouble = ("", "")
        self._tried.clear()

    def wait_tried(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for the first attempt to end; return whether the link is up."""
        self._tried.wait(timeout_s)
        return self.connected

    def _note(self, state: LinkState) -> None:
        self.state = state
        self._tried.set()


class Admission(Enum):
    """Whether a server of the wire requires a token."""

    BY_LOGIN = "by login"
    """A token is required."""
    UNASKED = "unasked"
    """No token is required, unless this backend refuses: then the dialer logs in as well."""


class Dialer:
    """Logs in when needed, and opens new links. Owned by the supervisor; the network thread."""

    def __init__(
        self,
        tokens: TokenCache,
        link: Callable[[], Link],
        admittance: Admission = Admission.BY_LOGIN,
    ) -> None:
        self._tokens = tokens
        self._link = link
        self._admittance = admittance

    async def dial(self) -> Link:
        """Return an open link, or raise ``TransportError`` or ``RemoteProtocolError``.

        A cached token that is rejected costs one immediate retry. A server without a login is tried
        without a token, and first so from then on.
        """
        if self._admittance is Admission.UNASKED:
            try:
                return await self._open(None)
            except Rejected:
                self._admittance = Admission.BY_LOGIN  # only now may the password be sent
        if self._tokens.held:
            try:
                return await self._open(await self._tokens.get())
            except Rejected:
                self._tokens.drop()
        try:
            token = await self._tokens.get()  # a refused password is not a refused token
        except NoLogin:
            return await self._enter_without()
        try:
            return await self._open(token)
        except Rejected:
            if self._tokens.given:
                raise Rejected("the backend does not accept backend.token") from None
            self._tokens.drop()
            raise RemoteProtocolError("the backend refuses the token it has just given") from None

    async def _enter_without(self) -> Link:
        try:
            link = await self._open(None)
        except Rejected:
            raise Rejected(
                "the backend has no login and lets nobody in without a token: give it backend.token"
            ) from None
        self._admittance = Admission.UNASKED  # until it refuses: no password is sent
        return link

    async def _open(self, token: str | None) -> Link:
        link = self._link()
        try:
            await link.open(token)
        except BaseException:
            await link.close()
            raise
        return link


_KINDS: Final[Mapping[Setback, Kind]] = {
    Setback.UNREACHABLE: kinds.BACKEND_UNREACHABLE,
    Setback.REJECTED: kinds.PASSWORD_REJECTED,
    Setback.FOREIGN: kinds.BACKEND_FOREIGN,
}


class Supervisor:
    """Dials, passes the link to the sender, and dials again. The network thread only.

    Logs one WARNING when a series of failures begins, DEBUG for each repetition, and one INFO when
    it ends. A link that the sender discarded on purpose is replaced at once and silently, as is one
    that the backend closed in order after a turn.
    """

    def __init__(
        self,
        dialer: Dialer,
        courier: Sender,
        status: LinkStatus,
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

        Returns the result of ``is_end``; False leaves undrained commands to a successor.
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
        """Run one link to its end; return the seconds to wait before the next."""
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
        fields = kinds.BACKEND_REACHED.fields(BACKEND=news.url, AWAY_MS=away_ms)
        words = "backend reached at %s%s%s"
        _LOGGER.log(level, words, news.url, _after(news), remark and f"; {remark}", extra=fields)
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
        fields = _KINDS[setback].fields(
            BACKEND=self._outage.url, REASON=error, RETRY_MS=round(wait_s * 1000)
        )
        words = "backend not usable: %s (%s); next attempt in %.1f s"
        _LOGGER.log(level, words, error, self._outage.url, wait_s, extra=fields)
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
