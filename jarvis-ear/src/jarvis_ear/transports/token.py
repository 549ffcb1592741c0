"""TokenCache: the token of the last login, while it is good."""

from collections.abc import Awaitable, Callable
from typing import Final

RENEW_AFTER_S: Final = 6 * 24 * 3600.0
"""The backend's tokens live seven days and are checked at every connect: renew a day before."""


class TokenCache:
    """Logs in when there is no token, or an old one. Owned by the dialer; the network thread.

    With a token ``given`` by the owner nobody logs in.
    """

    def __init__(
        self, login: Callable[[], Awaitable[str]], clock: Callable[[], float], given: str = ""
    ) -> None:
        self.given = given
        """The owner's token; empty: one is asked for."""
        self._login = login
        self._clock = clock
        self._token: str | None = None
        self._since = 0.0

    @property
    def held(self) -> bool:
        """Whether the next ``get`` answers without a login."""
        return self._token is not None and self._clock() - self._since < RENEW_AFTER_S

    async def get(self) -> str:
        """Return a token that should be good."""
        if self.given:
            return self.given
        if self._token is None or not self.held:
            self._token, self._since = await self._login(), self._clock()
        return self._token

    def drop(self) -> None:
        """Forget the token: the backend does not accept it."""
        self._token = None
