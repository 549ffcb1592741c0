"""Auth: passwords, wrong passwords, tokens and who is let in."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import jwt

from jarvis_backend.host_check import origin_of
from jarvis_backend.message_queue import MessageQueue
from jarvis_backend.process import STRANGERS

_KIND: Final = "scrypt"

_N: Final = 2**14
_R: Final = 8
_P: Final = 1
"""Cost of one guess: 16 MiB and some 50 ms (RFC 7914)."""

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32


class NotAHash(ValueError):
    """A text that ``hash_of`` did not make."""


class Password:
    """The one password, known or only recognised. Immutable: any thread may ask."""

    def __init__(self, password: str, hashed: str = "") -> None:
        """Take the ``password``, or instead of it what ``hash_of`` made; raises ``NotAHash``."""
        self._salt, self._hash = _parts(hashed) if hashed else (b"", b"")
        self._password = password.encode()

    def is_it(self, guess: str) -> bool:
        """Whether ``guess`` is the one; takes as long for a near miss as for a far one."""
        guessed = guess.encode(errors="surrogatepass")
        if self._hash:
            return hmac.compare_digest(_scrypt(guessed, self._salt), self._hash)
        return hmac.compare_digest(guessed, self._password)


def hash_of(password: str) -> str:
    """Return what recognises ``password`` and does not give it away."""
    salt = secrets.token_bytes(SALT_BYTES)
    parts = (salt, _scrypt(password.encode(), salt))
    return "$".join([_KIND, *(base64.b64encode(part).decode() for part in parts)])


def _parts(text: str) -> tuple[bytes, bytes]:
    try:
        kind, salt, hashed = text.split("$")
        parts = base64.b64decode(salt, validate=True), base64.b64decode(hashed, validate=True)
    except (ValueError, binascii.Error):
        raise NotAHash from None
    if kind != _KIND or (len(parts[0]), len(parts[1])) != (SALT_BYTES, HASH_BYTES):
        raise NotAHash
    return parts


def _scrypt(password: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=_N, r=_R, p=_P, dklen=HASH_BYTES)


_LOG: Final = logging.getLogger(STRANGERS)

WINDOW_S: Final = 60.0
"""How long a count lasts, from its first wrong password on."""

FIRST_WAIT_S: Final = 1.0
"""Half of the wrong passwords of a minute cost no wait. The next one costs this, and each further
one twice as much."""

MOST_WAIT_S: Final = 60.0
"""But not more than this."""

FORGIVEN_S: Final = 900.0
"""So long after the last wrong password the waits begin anew, as after a right one."""

ADDRESSES: Final = 10_000
"""Addresses that are remembered."""


@dataclass(slots=True)
class _Count:
    began_s: float
    wrong: int = 0
    """Within the window."""
    in_a_row: int = 0
    last_s: float = 0.0
    """When the last wrong one came."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class LoginLimiter:
    """Counts, here and in other processes. Lives on the loop.

    All addresses of an IPv6 network are one. Bound: ``ADDRESSES``. Policy: the one whose count
    began first is forgotten.
    """

    def __init__(self, most: int, queue: MessageQueue, now: Callable[[], float]) -> None:
        """Allow ``most`` within ``WINDOW_S``, by the monotonic clock ``now``."""
        self._most = most
        self._queue = queue
        self._now = now
        self._by_address: dict[str, _Count] = {}

    @asynccontextmanager
    async def turn_of(self, address: str) -> AsyncGenerator[float, None]:
        """Wait until no other guess of ``address`` is looked at; yield the seconds it has to wait.

        With more than 0 it may not guess.
        """
        count = self._current(address)
        async with count.turn:  # or a hundred guesses at once would be looked at before any counts
            yield self._wait_s(self._current(address))

    async def wrong(self, address: str) -> None:
        """Count a wrong password."""
        origin = origin_of(address)
        count = self._current(address)
        count.wrong += 1
        count.in_a_row += 1
        count.last_s = self._now()
        elsewhere_too = await self._queue.count(f"wrong:{origin}", WINDOW_S)
        count.wrong = max(count.wrong, elsewhere_too)
        _LOG.warning("a wrong password from %s, %d in a row", origin, count.in_a_row)

    def right(self, address: str) -> None:
        """Begin the waits anew; the count of the minute stays."""
        self._current(address).in_a_row = 0

    def _wait_s(self, count: _Count) -> float:
        now = self._now()
        window_s = count.began_s + WINDOW_S - now if count.wrong >= self._most else 0.0
        costly = count.in_a_row - max(1, self._most // 2)
        if costly < 1:
            return window_s
        wait_s = min(MOST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(costly - 1, 10))
        return max(window_s, count.last_s + wait_s - now)

    def _current(self, address: str) -> _Count:
        origin, now = origin_of(address), self._now()
        count = self._by_address.get(origin)
        if count is None:
            if len(self._by_address) >= ADDRESSES:
                del self._by_address[next(iter(self._by_address))]
            count = self._by_address[origin] = _Count(now)
        if now - count.began_s >= WINDOW_S:
            count.began_s, count.wrong = now, 0
        if now - count.last_s >= FORGIVEN_S:
            count.in_a_row = 0
        return count


TOKEN_DAYS: Final = 7
"""How long a satellite may stay away without logging in again."""

TOKEN_SECONDS: Final = TOKEN_DAYS * 86_400
"""The same, as the token says it."""

ROLE: Final = "operator"
"""The only role there is: whoever knows the password may do everything."""

_ALGORITHM: Final = "HS256"


class LoginRefused(Exception):
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
            raise LoginRefused("Authentication required")
        if not self._is_good(token):
            raise LoginRefused("Invalid or expired token")

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


class AccessRules:
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
        except LoginRefused:
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
