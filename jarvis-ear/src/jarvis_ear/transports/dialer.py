"""Dialer: from nothing to an authenticated link."""

from collections.abc import Callable
from enum import Enum

from jarvis_ear.errors import Rejected, RemoteProtocolError
from jarvis_ear.transports.link import Link
from jarvis_ear.transports.login import NoLogin
from jarvis_ear.transports.token import TokenCache


class Admittance(Enum):
    """Whom the wire lets in, as its owner wrote it."""

    BY_LOGIN = "by login"
    """Whoever shows a token."""
    UNASKED = "unasked"
    """Everybody, unless this backend refuses: then it is asked for a token, too."""


class Dialer:
    """Logs in when needed, and opens fresh links. Owned by the supervisor; the network thread."""

    def __init__(
        self,
        tokens: TokenCache,
        link: Callable[[], Link],
        admittance: Admittance = Admittance.BY_LOGIN,
    ) -> None:
        self._tokens = tokens
        self._link = link
        self._admittance = admittance

    async def dial(self) -> Link:
        """Return an open link, or raise ``TransportError`` or ``RemoteProtocolError``.

        A token from an earlier login that is not accepted any more costs one more try, at once. A
        server without a login is entered without a token, and from then on first so.
        """
        if self._admittance is Admittance.UNASKED:
            try:
                return await self._open(None)
            except Rejected:
                self._admittance = Admittance.BY_LOGIN  # and the password leaves no sooner
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
        self._admittance = Admittance.UNASKED  # until it refuses: no password need be shown
        return link

    async def _open(self, token: str | None) -> Link:
        link = self._link()
        try:
            await link.open(token)
        except BaseException:
            await link.close()
            raise
        return link
