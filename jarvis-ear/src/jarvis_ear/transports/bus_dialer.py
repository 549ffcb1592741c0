"""BusDialer: from nothing to a connection with the event bus."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from jarvis_ear.errors import Rejected
from jarvis_ear.transports.bus_link import BusLink
from jarvis_ear.transports.login import NoLogin
from jarvis_ear.transports.token import TokenCache

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class BusDialer:
    """Opens fresh links, with a token where one is asked for. The thread of the bus only.

    Most buses have no login. Where the bus is a part of the backend, ``tokens`` come from there.
    """

    def __init__(self, link: Callable[[], BusLink], tokens: TokenCache | None) -> None:
        self._link = link
        self._tokens = tokens

    async def dial(self) -> BusLink:
        """Return an open link, or raise ``TransportError`` or ``RemoteProtocolError``."""
        if self._tokens is None:
            return await self._open(None)
        try:
            return await self._open(await self._tokens.get() if self._tokens.held else None)
        except Rejected:
            self._tokens.drop()
        try:
            return await self._open(await self._tokens.get())
        except NoLogin:
            raise Rejected("the bus lets nobody in without a token, and has no login") from None
        except Rejected:
            self._tokens.drop()
            raise

    async def _open(self, token: str | None) -> BusLink:
        link = self._link()
        try:
            await link.open(token)
        except BaseException:
            await link.close()
            raise
        return link


def is_same_server(bus_url: str, backend_url: str) -> bool:
    """Whether both are one server, which may be shown one password."""
    return _server(bus_url) == _server(backend_url)


def _server(url: str) -> tuple[bool, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme in {"https", "wss"}, parts.hostname, parts.port or _PORTS[parts.scheme]
