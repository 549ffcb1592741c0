"""Link: one connection to the backend on any wire, as the supervisor and the sender use it."""

import asyncio
from typing import Final, NoReturn, Protocol

from jarvis_ear.wires.messages import FromBackend, ToBackend

MAX_UNREAD: Final = 256
"""Maximum unread messages: a backend that sends more at once is broken."""


class Link(Protocol):
    """One connection, from its handshake to its reset. Not reusable. The network thread only.

    Every statement of a library about the connection is subject to a deadline. ``received`` holds
    at most ``MAX_UNREAD`` messages; one more ends the link.
    """

    @property
    def received(self) -> "asyncio.Queue[FromBackend]":
        """Messages from the backend, in order."""
        ...

    @property
    def remark(self) -> str:
        """What is unusual about this connection, for the log; empty if nothing is."""
        ...

    @property
    def refused(self) -> int:
        """Number of messages that no backend should send."""
        ...

    @property
    def strays(self) -> int:
        """Number of messages dropped because they name another agent, on wires that name agents."""
        ...

    @property
    def overflows(self) -> int:
        """Number of messages that found no room; one ends the link."""
        ...

    @property
    def usable(self) -> bool:
        """Whether a message sent now goes to the socket."""
        ...

    async def open(self, token: str | None) -> None:
        """Connect, or raise ``Rejected``, ``ConnectFailed`` or ``RemoteProtocolError``."""
        ...

    async def send(self, message: ToBackend) -> None:
        """Queue a message for the socket, or raise ``Disconnected``. Delivery is not guaranteed."""
        ...

    async def flushed(self) -> None:
        """Wait, without a time limit, until the socket has taken everything that was sent."""
        ...

    async def run(self) -> NoReturn:
        """Monitor the link until it ends, then raise ``Disconnected``."""
        ...

    def abort(self, reason: str) -> None:
        """End the link now with a reset; unsent messages are dropped."""
        ...

    async def close(self) -> None:
        """Abort, and clean up what the library leaves behind. Bounded; never raises."""
        ...
