"""Password: what satellites log in with, as it is or as a hash that does not give it away."""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

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
