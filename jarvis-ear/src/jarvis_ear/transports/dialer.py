"""Dialer: from nothing to an authenticated link."""

from collections.abc import Callable

from jarvis_ear.errors import Rejected, RemoteProtocolError
from jarvis_ear.transports.socketio_link import SocketIoLink
from jarvis_ear.transports.token import TokenCache


class Dialer:
    """Logs in when needed, and opens fresh links. Owned by the supervisor; the network thread."""

    def __init__(self, tokens: TokenCache, link: Callable[[], SocketIoLink]) -> None:
        self._tokens = tokens
        self._link = link

    async def dial(self) -> SocketIoLink:
        """Return an open link, or raise ``TransportError`` or ``RemoteProtocolError``.

        A token from an earlier login that is not accepted any more costs one more try, at once.
        """
        if self._tokens.held:
            try:
                return await self._open()
            except Rejected:
                self._tokens.drop()
        await self._tokens.get()  # a refused password is told apart from a refused token
        try:
            return await self._open()
        except Rejected:
            self._tokens.drop()
            raise RemoteProtocolError("the backend refuses the token it has just given") from None

    async def _open(self) -> SocketIoLink:
        token = await self._tokens.get()
        link = self._link()
        try:
            await link.open(token)
        except BaseException:
            await link.close()
            raise
        return link
