"""Link: one connection to a server on any wire, and how it ends."""

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar

import aiohttp

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import (
    ClosedInOrder,
    ConnectFailed,
    Disconnected,
    Rejected,
    RemoteProtocolError,
    UnknownMessage,
)
from jarvis_ear.journal import turns as kinds
from jarvis_ear.journal.kind import Kind
from jarvis_ear.link.tls_and_tcp import Sockets, TrustStore, error_text
from jarvis_ear.log.throttle import Throttle
from jarvis_ear.wires.messages import FromBackend, ToBackend
from jarvis_ear.wires.socketio import MAX_MESSAGE_BYTES

_LOGGER = logging.getLogger(__name__)

MAX_UNREAD: Final = 256
"""Maximum unread messages: a server that sends more at once is broken."""

MAX_UNSENT: Final = 4096
"""Maximum unsent frames: more than the longest utterance in pieces of 20 ms."""

_REFUSALS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

Sent = TypeVar("Sent")
Received = TypeVar("Received")


class Setback(Enum):
    """Kind of failure, which decides the back-off."""

    UNREACHABLE = "unreachable"
    """No server, or no answer in time: it may return at any moment, and an attempt costs little."""
    FOREIGN = "foreign"
    """An answer that no backend gives: another server may have taken the address."""
    REJECTED = "rejected"
    """The password is wrong: a retry does not help."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What differs between the servers that the ear keeps a link to."""

    name: str
    """Its name in messages to people."""
    field: str
    """Journal field with its address."""
    reached: Kind
    """Kind of the record of a new link."""
    failed: Mapping[Setback, Kind]
    """Kinds of the records of failed attempts and lost links."""
    max_message_bytes: int
    """A longer message ends the link."""
    must_answer: bool = False
    """True: its silence ends the link even if it has never answered a ping."""
    is_reset: bool = True
    """True: the link ends with a reset, so that the kernel sends nothing more."""

    @property
    def called(self) -> str:
        """Its name in a sentence: with an article, unless it is a proper name."""
        return self.name if self.name[0].isupper() else f"the {self.name}"


BACKEND: Final = Peer(
    "backend",
    "BACKEND",
    kinds.BACKEND_REACHED,
    {
        Setback.UNREACHABLE: kinds.BACKEND_UNREACHABLE,
        Setback.REJECTED: kinds.PASSWORD_REJECTED,
        Setback.FOREIGN: kinds.BACKEND_FOREIGN,
    },
    MAX_MESSAGE_BYTES,
)


HOME_ASSISTANT: Final = Peer(
    "Home Assistant",
    "BACKEND",
    kinds.HOME_ASSISTANT_REACHED,
    {
        Setback.UNREACHABLE: kinds.HOME_ASSISTANT_AWAY,
        Setback.REJECTED: kinds.HOME_ASSISTANT_AWAY,
        Setback.FOREIGN: kinds.HOME_ASSISTANT_AWAY,
    },
    MAX_MESSAGE_BYTES,
)


class Keepalive:
    """Tracks the time of the last message, and why the link ended. Owned by one link.

    A backend that never answers pings has no deadline here: the keepalive of the kernel or of the
    wire detects its loss.
    """

    def __init__(self, timing: Timing, peer: Peer = BACKEND) -> None:
        self._timing = timing
        self._peer = peer
        self._heard_at = math.inf
        self._answers_pings = peer.must_answer
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the link ended, once it has."""
        self._error: type[Disconnected] = Disconnected
        self.answered = asyncio.Event()
        """Set by each answer to a ping."""

    def heard(self, *, pong: bool = False) -> None:
        """Note a message from the server."""
        self._heard_at = asyncio.get_running_loop().time()
        self._answers_pings |= pong
        if pong:
            self.answered.set()

    def end(self, reason: str, *, in_order: bool = False) -> None:
        """Note that the link has ended; the first reason counts.

        ``in_order``: the server closed it as its protocol prescribes.
        """
        if not self.ended.done():
            self._error = ClosedInOrder if in_order else Disconnected
            self.ended.set_result(reason)

    async def watch(self, ping: Callable[[], Awaitable[None]]) -> NoReturn:
        """Send pings until the link ends or the server is silent for too long; then raise."""
        while True:
            await ping()
            await asyncio.wait({self.ended}, timeout=min(self._timing.ping_s, self._left_s()))
            if self.ended.done():
                raise self._error(self.ended.result())
            if self._left_s() <= 0:
                name, dead_s = self._peer.called, self._timing.dead_s
                raise Disconnected(f"nothing received from {name} for {dead_s:g} s")

    def _left_s(self) -> float:
        """Return the seconds left for the next message."""
        if not self._answers_pings:
            return math.inf
        return self._heard_at + self._timing.dead_s - asyncio.get_running_loop().time()


class Link(ABC, Generic[Sent, Received]):
    """One connection, from its handshake to its end. Not reusable; one thread only.

    Every statement of a library about the connection is subject to a deadline.
    """

    def __init__(
        self,
        timing: Timing,
        wake: Callable[[], None],
        trust_store: TrustStore | None = None,
        peer: Peer = BACKEND,
    ) -> None:
        self.received: asyncio.Queue[Received] = asyncio.Queue(MAX_UNREAD)
        """Messages from the server, in order; one more ends the link. ``wake`` follows each."""
        self.remark = ""
        """What is unusual about this connection, for the log; empty if nothing is."""
        self.refused = 0
        """Number of messages that no server should send."""
        self.strays = 0
        """Number of messages dropped because they name another agent, on wires that name agents."""
        self.overflows = 0
        """Number of messages that found no room; one ends the link."""
        self._timing = timing
        self._wake = wake
        self._peer = peer
        self._sockets = Sockets(trust_store)
        self._session: aiohttp.ClientSession | None = None
        self._unsent: asyncio.Queue[Any] = asyncio.Queue(MAX_UNSENT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._keepalive = Keepalive(timing, peer)
        self._throttle = Throttle()

    @property
    @abstractmethod
    def usable(self) -> bool:
        """Whether a message sent now goes to the socket."""

    async def open(self, token: str | None) -> None:
        """Connect, or raise ``Rejected``, ``ConnectFailed`` or ``RemoteProtocolError``."""
        self._session = self._sockets.session()
        try:
            async with asyncio.timeout(self._timing.connect_s):
                await self._connect(self._session, token)
        except (Rejected, ConnectFailed, RemoteProtocolError):
            raise
        except aiohttp.WSServerHandshakeError as error:
            raise self._refusal(error.status) from None
        except TimeoutError:
            raise ConnectFailed(f"no connection within {self._timing.connect_s:g} s") from None
        except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
            raise ConnectFailed(f"connection failed: {error_text(error)}") from None
        if not self.usable:
            raise ConnectFailed(f"{self._peer.called} closed the connection at once")
        self._keepalive.heard()

    async def send(self, message: Sent) -> None:
        """Queue a message for the socket, or raise ``Disconnected``. Delivery is not guaranteed."""
        if not self.usable:
            raise Disconnected("the link is down")
        await self._send(message)

    async def round_trip(self) -> float:
        """Send a ping, and return the seconds until its answer.

        Waits without a time limit: some servers answer none. Raises ``Disconnected``.
        """
        clock = asyncio.get_running_loop().time
        self._keepalive.answered.clear()
        began = clock()
        await self._ping()
        await self._keepalive.answered.wait()
        return clock() - began

    async def played(self) -> None:
        """Tell the server that a reply was played to its end. Most wires have no message for it."""

    async def flushed(self) -> None:
        """Wait, without a time limit, until the socket has taken everything that was sent."""
        await self._unsent.join()

    async def run(self) -> NoReturn:
        """Monitor the link until it ends, then raise ``Disconnected``."""
        await self._keepalive.watch(self._ping)

    def abort(self, reason: str) -> None:
        """End the link now with a reset; unsent messages are dropped."""
        self._keepalive.end(reason)
        self._sockets.reset_on_close()
        self._drop()

    async def close(self) -> None:
        """End the link, and clean up what the library leaves behind. Bounded; never raises."""
        if self._peer.is_reset:
            self.abort("closed")
        if self._session is None:
            return
        await self._release()
        self.abort("closed")
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.close_s):
                await self._session.close()

    @abstractmethod
    async def _connect(self, session: aiohttp.ClientSession, token: str | None) -> None:
        """Connect without a deadline. Raises what ``open`` raises, or any error of a library."""

    @abstractmethod
    async def _send(self, message: Sent) -> None:
        """Queue a message on a usable link."""

    @abstractmethod
    async def _ping(self) -> None:
        """Send a ping, or raise ``Disconnected``."""

    @abstractmethod
    def _drop(self) -> None:
        """Drop the socket, if there is one."""

    @abstractmethod
    async def _release(self) -> None:
        """End tasks and what else the wire leaves behind. Bounded; never raises."""

    def _begin(self, work: "asyncio._CoroutineLike[None]") -> None:
        """Run a task of the link, whose end ends the link."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._keepalive.end("link lost"))

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._timing.close_s)

    def _enqueue(self, frames: Iterable[object]) -> None:
        """Queue frames for the task that writes, or end the link if there is no room."""
        try:
            for frame in frames:
                self._unsent.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort(f"{self._peer.called} no longer reads")

    def _refuse(self, error: RemoteProtocolError) -> None:
        """Count and log a message that is dropped: it is invalid, or of an unknown kind."""
        self.refused += 1
        is_fault = not isinstance(error, UnknownMessage)
        is_shown = is_fault and self._throttle.allows(asyncio.get_running_loop().time())
        level = logging.WARNING if is_shown else logging.DEBUG
        fields = kinds.MESSAGE_REFUSED.fields(REASON=error)
        words = "message of %s is dropped: %s"
        _LOGGER.log(level, words, self._peer.called, error, extra=fields)

    def _deliver(self, message: Received) -> None:
        """Append a message to ``received``, or end the link if there is no room."""
        try:
            self.received.put_nowait(message)
        except asyncio.QueueFull:
            self.overflows += 1
            self.abort(f"{self._peer.called} sends more than can be processed")
        self._wake()

    def _refusal(self, status: int) -> ConnectFailed | Rejected | RemoteProtocolError:
        name = self._peer.called
        if status in _REFUSALS:
            return Rejected(f"{name} refuses the connection")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ConnectFailed(f"connection failed: status {status}")
        return RemoteProtocolError(f"{name} answers with status {status}; expected an upgrade")


BackendLink: TypeAlias = Link[ToBackend, FromBackend]
AnyLink = TypeVar("AnyLink", bound=Link[Any, Any])
