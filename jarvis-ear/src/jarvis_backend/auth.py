"""Authentication: the password, failed logins, tokens, and who may use which wire."""

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
from jarvis_backend.process import CLIENT_LOG

_KIND: Final = "scrypt"

_N: Final = 2**14
_R: Final = 8
_P: Final = 1
"""Cost of checking one password: 16 MiB and about 50 ms (RFC 7914)."""

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32


class NotAHash(ValueError):
    """The text was not made by ``hash_of``."""


class Password:
    """The password of the backend, or its hash. Immutable: any thread may use it."""

    def __init__(self, password: str, hashed: str = "") -> None:
        """Take the ``password``, or instead of it what ``hash_of`` returned. Raises NotAHash."""
        self._salt, self._hash = _parts(hashed) if hashed else (b"", b"")
        self._password = password.encode()

    def matches(self, password: str) -> bool:
        """Return whether ``password`` is the right one, in constant time."""
        encoded = password.encode(errors="surrogatepass")
        if self._hash:
            return hmac.compare_digest(_scrypt(encoded, self._salt), self._hash)
        return hmac.compare_digest(encoded, self._password)


def hash_of(password: str) -> str:
    """Return a salted hash of ``password``."""
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


_LOG: Final = logging.getLogger(CLIENT_LOG)

WINDOW_S: Final = 60.0
"""Duration of a count, from its first wrong password on."""

FIRST_WAIT_S: Final = 1.0
"""Wait after more than half of the wrong passwords that are allowed in a minute; each further one
doubles it."""

MAX_WAIT_S: Final = 60.0

RESET_S: Final = 900.0
"""Seconds without a wrong password that end the waits, as the right password does."""

ADDRESSES: Final = 10_000
"""Maximum number of addresses that are remembered."""


@dataclass(slots=True)
class _Failures:
    began_s: float
    in_window: int = 0
    in_a_row: int = 0
    last_s: float = 0.0
    """When the last wrong password came."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class LoginLimiter:
    """Counts wrong passwords by address, in all processes. Lives on the loop.

    All addresses of an IPv6 network count as one. Bound: ``ADDRESSES``. Policy: the one whose
    count began first is forgotten.
    """

    def __init__(self, max_failures: int, queue: MessageQueue, now: Callable[[], float]) -> None:
        """Allow ``max_failures`` within ``WINDOW_S``; ``now`` is a monotonic clock."""
        self._max_failures = max_failures
        self._queue = queue
        self._now = now
        self._by_address: dict[str, _Failures] = {}

    @asynccontextmanager
    async def attempt(self, address: str) -> AsyncGenerator[float, None]:
        """Yield the seconds that ``address`` has to wait; above 0 it may not try a password.

        Attempts of one address are checked one at a time.
        """
        count = self._current(address)
        async with count.lock:  # otherwise simultaneous attempts are all checked before one counts
            yield self._wait_s(self._current(address))

    async def failed(self, address: str) -> None:
        """Count a wrong password."""
        origin = origin_of(address)
        count = self._current(address)
        count.in_window += 1
        count.in_a_row += 1
        count.last_s = self._now()
        in_all = await self._queue.count(f"wrong:{origin}", WINDOW_S)
        count.in_window = max(count.in_window, in_all)
        _LOG.warning("a wrong password from %s, %d in a row", origin, count.in_a_row)

    def succeeded(self, address: str) -> None:
        """Reset the waits; the count of the minute stays."""
        self._current(address).in_a_row = 0

    def _wait_s(self, count: _Failures) -> float:
        now = self._now()
        window_s = count.began_s + WINDOW_S - now if count.in_window >= self._max_failures else 0.0
        excess = count.in_a_row - max(1, self._max_failures // 2)
        if excess < 1:
            return window_s
        wait_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2.0 ** min(excess - 1, 10))
        return max(window_s, count.last_s + wait_s - now)

    def _current(self, address: str) -> _Failures:
        origin, now = origin_of(address), self._now()
        count = self._by_address.get(origin)
        if count is None:
            if len(self._by_address) >= ADDRESSES:
                del self._by_address[next(iter(self._by_address))]
            count = self._by_address[origin] = _Failures(now)
        if now - count.began_s >= WINDOW_S:
            count.began_s, count.in_window = now, 0
        if now - count.last_s >= RESET_S:
            count.in_a_row = 0
        return count


TOKEN_DAYS: Final = 7
"""Validity of a token, after which a satellite logs in again."""

TOKEN_SECONDS: Final = TOKEN_DAYS * 86_400

ROLE: Final = "operator"
"""The only role: it may do everything."""

_ALGORITHM: Final = "HS256"


class LoginRefused(Exception):
    """The peer is not authenticated. Satellites know these texts."""


class Auth:
    """Checks passwords and tokens, and decides who may use a wire. Immutable: for any thread.

    Without ``require_token`` programs of this machine need no token, except on wires with a login.
    A token that is sent must be valid, wherever it comes from.
    """

    def __init__(
        self,
        password: Password,
        secret: str | None,
        now: Callable[[], float],
        *,
        require_token: bool = False,
    ) -> None:
        """Sign with ``secret``, or a new one if it is None; ``now`` is a wall clock."""
        self._require_token = require_token
        self._password = password
        self._secret = secret or secrets.token_urlsafe(48)
        self._now = now

    def check_password(self, password: object) -> bool:
        """Return whether ``password`` is the right one; may take 50 ms."""
        return isinstance(password, str) and self._password.matches(password)

    def issue(self) -> str:
        """Return a new token."""
        now = int(self._now())
        claims = {"role": ROLE, "iat": now, "exp": now + TOKEN_SECONDS}
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def check_token(self, token: object) -> None:
        """Raise LoginRefused unless ``token`` is valid."""
        if not isinstance(token, str) or not token:
            raise LoginRefused("Authentication required")
        if not self._is_valid(token):
            raise LoginRefused("Invalid or expired token")

    def authorize(
        self,
        peer: str | None,
        authorization: str | None,
        subprotocols: Sequence[str] = (),
        *,
        login: bool = False,
    ) -> str | None:
        """Return the subprotocol to accept with. Raises LoginRefused.

        ``peer`` is an address and ``authorization`` the header; a browser, which cannot set it,
        offers its token as a subprotocol. With ``login`` each client needs a token.
        """
        offered = subprotocols[0] if subprotocols else None
        token = offered if authorization is None else _bearer(authorization)
        if token is not None or login or self._require_token or not is_this_machine(peer):
            self.check_token(token)
        return offered if authorization is None else None

    def has_token(self, authorization: str | None, subprotocols: Sequence[str] = ()) -> bool:
        """Return whether a request contains a valid token."""
        try:
            self.authorize(None, authorization, subprotocols, login=True)
        except LoginRefused:
            return False
        return True

    def _is_valid(self, token: str) -> bool:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                options={"require": ["exp"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return False
        # The library can only use the clock of the machine.
        expires = claims["exp"]
        return isinstance(expires, int) and self._now() < expires and claims.get("role") == ROLE


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


IN_PROCESS: Final = "testclient"
"""Address of Starlette's TestClient; no socket can have it."""


def is_this_machine(peer: str | None) -> bool:
    """Return whether ``peer`` is an address of this machine."""
    if peer == IN_PROCESS:
        return True
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
