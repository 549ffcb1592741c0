"""Link: what supervisor and courier need of one connection to the backend, whatever its wire."""

import asyncio
from typing import Final, NoReturn, Protocol

from jarvis_ear.wires.messages import FromBackend, ToBackend

MAX_UNREAD: Final = 256
"""Messages that may wait to be read: a backend that says more at once is broken."""


class Link(Protocol):
    """One connection, from its handshake to its reset. Never used twice. The network thread only.

    Nothing that a library says about the connection is believed without a deadline. ``received``
    holds at most ``MAX_UNREAD`` messages; one more, and the link ends.
    """

    @property
    def received(self) -> "asyncio.Queue[FromBackend]":
        """What the backend said, in order."""
        ...

    @property
    def remark(self) -> str:
        """What is unusual about this connection, for the log; empty: nothing."""
        ...

    @property
    def refused(self) -> int:
        """How many messages came that no backend should send."""
        ...

    @property
    def strays(self) -> int:
        """How many messages named another ear, where the wire names ears. They are dropped."""
        ...

    @property
    def overflows(self) -> int:
        """How many messages found no room: one, and the link ends."""
        ...

    @property
    def usable(self) -> bool:
        """Whether what is said now goes to the socket."""
        ...

    async def open(self, token: str | None) -> None:
        """Connect, or raise ``Rejected``, ``ConnectFailed``, ``RemoteProtocolError``."""
        ...

    async def send(self, message: ToBackend) -> None:
        """Give a message to the socket's queue, or raise ``Disconnected``: no more is promised."""
        ...

    async def flushed(self) -> None:
        """Wait until the socket has taken everything that was sent: for ever if it does not."""
        ...

    async def run(self) -> NoReturn:
        """Watch the link until it ends, and then raise ``Disconnected``."""
        ...

    def abort(self, reason: str) -> None:
        """End the link now, with a reset: nothing that waits to be sent will be."""
        ...

    async def close(self) -> None:
        """Abort, and clear away what the library leaves behind. Bounded, and never raises."""
        ...
