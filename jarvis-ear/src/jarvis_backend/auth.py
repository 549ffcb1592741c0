"""Auth: who may speak with this backend, decided in one place."""

import ipaddress
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import jwt

from jarvis_backend.password import Password

TOKEN_DAYS: Final = 7
"""How long a satellite may stay away without logging in again."""

TOKEN_SECONDS: Final = TOKEN_DAYS * 86_400
"""The same, as the token says it."""

ROLE: Final = "operator"
"""The only role there is: whoever knows the password may do everything."""

_ALGORITHM: Final = "HS256"


class Refused(Exception):
    """The peer may not come in. Its text is the one satellites know."""


class Auth:
    """Checks passwords, issues tokens and checks them. Immutable: any thread may use it."""

    def __init__(self, password: Password, secret: str | None, now: Callable[[], float]) -> None:
        """Take the ``password``, the signing ``secret`` (None: a new one), and a wall clock."""
        self._password = password
        self._secret = secret or secrets.token_urlsafe(48)
        self._now = now

    def knows(self, password: object) -> bool:
        """Whether ``password`` is the one; may take 50 ms."""
        return isinstance(password, str) and self._password.is_it(password)

    def issue(self) -> str:
        """Make a token that is good for seven days."""
        now = int(self._now())
        claims = {"role": ROLE, "iat": now, "exp": now + TOKEN_SECONDS}
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def admit(self, token: object) -> None:
        """Return if ``token`` is good, else raise ``Refused``."""
        if not isinstance(token, str) or not token:
            raise Refused("Authentication required")
        if not self._is_good(token):
            raise Refused("Invalid or expired token")

    def _is_good(self, token: str) -> bool:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                options={"require": ["exp"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return False
        # The library would ask the machine's clock; ours is given.
        expires = claims["exp"]
        return isinstance(expires, int) and self._now() < expires and claims.get("role") == ROLE


class Admission:
    """Decides who may use a wire, or its HTTP routes. Immutable: any thread may ask.

    Wires without a login are open to programs of this machine until ``require_token``; everybody
    else shows a token. One that is shown must be good, wherever it comes from.
    """

    def __init__(self, auth: Auth, *, require_token: bool) -> None:
        self._auth = auth
        self._require_token = require_token

    def admit(
        self,
        peer: str | None,
        authorization: str | None,
        subprotocols: Sequence[str] = (),
        *,
        login: bool = False,
    ) -> str | None:
        """Return the subprotocol to accept with, or raise ``Refused``.

        ``peer`` is an address, ``authorization`` the header; a browser, which can set none, offers
        its token as a subprotocol. With ``login`` a token is needed from anywhere.
        """
        offered = subprotocols[0] if subprotocols else None
        token = offered if authorization is None else _bearer(authorization)
        if token is not None or login or self._require_token or not is_this_machine(peer):
            self._auth.admit(token)
        return offered if authorization is None else None

    def is_shown_token(self, authorization: str | None, subprotocols: Sequence[str] = ()) -> bool:
        """Whether a good token is among what ``admit`` would look at."""
        try:
            self.admit(None, authorization, subprotocols, login=True)
        except Refused:
            return False
        return True


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


IN_PROCESS: Final = "testclient"
"""What Starlette's TestClient calls itself: no socket can have a word for an address."""


def is_this_machine(peer: str | None) -> bool:
    """Whether the address ``peer`` is of a program of this machine."""
    if peer == IN_PROCESS:
        return True
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
