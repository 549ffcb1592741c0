"""Supervisor: keeps a link to a server, with back-off, and reports its state."""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, Generic, NoReturn

from jarvis_ear.delivery.events import DeliveryEvent, LinkDown, LinkUp
from jarvis_ear.errors import Disconnected, JarvisEarError, Rejected, RemoteProtocolError
from jarvis_ear.link.connection import BACKEND, AnyLink, Peer, Setback
from jarvis_ear.link.login import Dialer

_LOGGER = logging.getLogger(__name__)


STABLE_S: Final = 30.0
"""Seconds that a link must last to end the series of failures; a shorter one continues it."""

_FLOOR_S: Final = 0.5
"""Minimum seconds between a failed attempt and the next one."""

_UNREACHABLE_CAP_S: Final = 2.5
"""If login and handshake take 3 s, a backend is reached within 6 s of its start.

An attempt against a closed port is one packet and sends no password: a longer delay would save
nothing and cost the person the answer.
"""

_FOREIGN_CAP_S: Final = 30.0
"""Longer, because each attempt sends the password to the server that answers."""

_REJECTED_FLOOR_S: Final = 30.0
"""At most two logins a minute with a rejected password."""

_REJECTED_CAP_S: Final = 60.0

_DOUBLINGS: Final = 8  # enough to reach every cap, and 2.0 ** attempt cannot overflow


def delay_s(setback: Setback, attempt: int, rand: float) -> float:
    """Return the delay in seconds after failure number ``attempt`` in a row (from 1).

    ``rand`` is in 0…1. Full jitter: clients that lose their backend in the same second do not
    return in the same second.
    """
    if setback is Setback.REJECTED:
        return _REJECTED_FLOOR_S + rand * (_REJECTED_CAP_S - _REJECTED_FLOOR_S)
    cap_s = _UNREACHABLE_CAP_S if setback is Setback.UNREACHABLE else _FOREIGN_CAP_S
    ceiling_s = min(cap_s, _FLOOR_S * 2.0 ** min(attempt, _DOUBLINGS))
    return _FLOOR_S + rand * (ceiling_s - _FLOOR_S)


class Series:
    """Counts failures for the back-off, and decides which are logged.

    Owned by the supervisor. A link that comes and goes every second is one series: each kind of
    failure is warned of once, and its end is logged once.
    """

    def __init__(self) -> None:
        self._kind: Setback | None = None
        self._in_a_row = 0
        self._warned: set[Setback] = set()
        self._cleared: set[Setback] = set()

    def failed(self, setback: Setback) -> int:
        """Count a failure and return how many of its kind occurred in a row."""
        self._in_a_row = self._in_a_row + 1 if setback is self._kind else 1
        self._kind = setback
        return self._in_a_row

    def should_warn(self, setback: Setback) -> bool:
        """Return True once for each kind of failure in a series."""
        if setback in self._warned:
            return False
        self._warned.add(setback)
        return True

    def should_clear(self) -> bool:
        """Return True once after each warning."""
        if self._cleared == self._warned:
            return False
        self._cleared = set(self._warned)
        return True

    def lasted(self, for_s: float) -> None:
        """End the series if the lost link lasted at least ``STABLE_S`` seconds."""
        if for_s >= STABLE_S:
            self._kind, self._in_a_row = None, 0
            self._warned.clear()
            self._cleared.clear()


class LinkState(StrEnum):
    """State of the link."""

    TRYING = "trying"
    """No attempt has ended yet."""
    CONNECTED = "connected"
    """A message can be sent now."""
    DISCONNECTED = "disconnected"
    """The server is unreachable, or does not behave like one."""
    AUTH_FAILED = "auth_failed"
    """The server rejects the password or the token."""


class LinkStatus:
    """State of the link and its last failure, reduced to one event per change.

    The network thread writes; any thread may read.
    """

    def __init__(self) -> None:
        self._tried = threading.Event()
        self.forget()

    def forget(self) -> None:
        """Reset to the state before the first attempt."""
        self.state = LinkState.TRYING
        """The current state."""
        self.trouble = ("", "")
        """Why the last attempt failed, and the remedy; both empty if it did not fail."""
        self._reported: bool | None = None  # whether the last event was LinkUp
        self._is_replaced = False
        self._lost_at: float | None = None
        self._tried.clear()

    @property
    def connected(self) -> bool:
        """Whether a message can be sent now."""
        return self.state is LinkState.CONNECTED

    def reached(self, url: str, now: float) -> LinkUp | None:
        """Note that the link to ``url`` is up, and return the event if this is a change."""
        is_known = self._is_replaced
        after_s = None if self._lost_at is None else now - self._lost_at
        self._reported, self._is_replaced, self._lost_at = True, False, None
        self.trouble = ("", "")
        self.end(LinkState.CONNECTED)
        return None if is_known else LinkUp(url, after_s)

    def failed(self, setback: Setback, reason: str, remedy: str, now: float) -> LinkDown | None:
        """Note a failed attempt or a lost link, and return the event if this is a change."""
        self.trouble = (reason, remedy)
        refused = setback is Setback.REJECTED
        self.end(LinkState.AUTH_FAILED if refused else LinkState.DISCONNECTED)
        if self._reported is False:
            return None
        if self._reported and not self._is_replaced:
            self._lost_at = now
        self._reported, self._is_replaced = False, False
        return LinkDown(reason)

    def replaced(self, now: float) -> None:
        """Note that the link ended as planned: an event follows only if the next attempt fails."""
        self._is_replaced, self._lost_at = True, now
        self.end()

    def end(self, state: LinkState = LinkState.DISCONNECTED) -> None:
        """Note the state after an attempt or a link."""
        self.state = state
        self._tried.set()

    def wait_tried(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for the first attempt to end; return whether the link is up."""
        self._tried.wait(timeout_s)
        return self.connected


class Supervisor(Generic[AnyLink]):
    """Dials, serves the link until it ends, and dials again. One event loop only.

    ``serve`` uses an open link until it ends; it returns if the end was planned, and raises
    ``Disconnected`` if not. Logs one WARNING when a series of failures begins, DEBUG for each
    repetition, and one INFO when it ends. After a planned end, the next link is opened at once and
    silently.
    """

    def __init__(
        self,
        dialer: Dialer[AnyLink],
        serve: Callable[[AnyLink], Awaitable[None]],
        status: LinkStatus,
        url: str,
        *,
        clock: Callable[[], float],
        peer: Peer = BACKEND,
        on_event: Callable[[DeliveryEvent], None] = lambda _event: None,
    ) -> None:
        """``url`` is the address of the server, safe to show."""
        self._dialer = dialer
        self._serve = serve
        self._status = status
        self._url = url
        self._clock = clock
        self._peer = peer
        self._on_event = on_event
        self._series = Series()

    async def run(self) -> NoReturn:
        """Work until cancelled."""
        while True:
            wait_s = await self._run_link()
            await asyncio.sleep(wait_s)

    async def _run_link(self) -> float:
        """Run one link to its end; return the seconds to wait before the next."""
        try:
            link = await self._dialer.dial()
        except JarvisEarError as error:
            return self._failed(error)
        since = self._clock()
        try:
            self._reached(link.remark)
            try:
                await self._serve(link)
            finally:
                self._series.lasted(self._clock() - since)
            self._status.replaced(self._clock())
        except Disconnected as error:
            return self._failed(error)
        finally:
            await link.close()
        return 0.0

    def _reached(self, remark: str = "") -> None:
        event = self._status.reached(self._url, self._clock())
        if event is None:
            return
        after_s = event.after_s
        level = logging.INFO if self._series.should_clear() or after_s is None else logging.DEBUG
        after = "" if after_s is None else f", after {after_s:.1f} s"
        fields = self._peer.reached.fields(**{self._peer.field: self._url})
        if self._peer.field == BACKEND.field:
            fields["AWAY_MS"] = None if after_s is None else round(after_s * 1000)
        words = "%s reached at %s%s%s"
        remark = remark and f"; {remark}"
        _LOGGER.log(level, words, self._peer.name, self._url, after, remark, extra=fields)
        self._on_event(event)

    def _failed(self, error: JarvisEarError) -> float:
        setback = _setback(error)
        kind = self._peer.failed[setback]
        wait_s = delay_s(setback, self._series.failed(setback), random.random())  # noqa: S311 - jitter
        level = logging.WARNING if self._series.should_warn(setback) else logging.DEBUG
        where = {self._peer.field: self._url}
        fields = kind.fields(**where, REASON=error, RETRY_MS=round(wait_s * 1000))
        words = "%s not usable: %s (%s); next attempt in %.1f s"
        _LOGGER.log(level, words, self._peer.name, error, self._url, wait_s, extra=fields)
        event = self._status.failed(setback, str(error), kind.advice, self._clock())
        if event is not None:
            self._on_event(event)
        return wait_s


def _setback(error: JarvisEarError) -> Setback:
    if isinstance(error, Rejected):
        return Setback.REJECTED
    if isinstance(error, RemoteProtocolError):
        return Setback.FOREIGN
    return Setback.UNREACHABLE
