"""Door: who may look at the console, and who may not even ask."""

import hmac
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from jarvis_ear.console.errors import Refusal

PROTOCOL: Final = "jarvis-console"
"""The subprotocol that is agreed on. The token is offered beside it, and never said back."""

_OFFER: Final = "token."
_SCHEME: Final = "Bearer "

GUESSES: Final = 10
"""Wrong tokens within ``GUESSES_S``, from anybody, after which every one is refused for a while."""

GUESSES_S: Final = 60.0
"""A person mistypes a few times; a program that guesses 256 bits gets nowhere, and is told so."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a request says of itself."""

    host: str
    origin: str | None
    query: str
    token: str


class Door:
    """Decides by name, page and token. Lives on the loop."""

    def __init__(self, port: int, token: str, now: Callable[[], float]) -> None:
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))
        self._token = token.encode()
        self._now = now
        self._wrong: deque[float] = deque(maxlen=GUESSES)

    def check_page(self, visit: Visit) -> None:
        """Raise Refusal unless whoever asks means this server, and comes from its own page.

        A page that re-binds its own name to our address is recognised by that name in ``Host``.
        """
        if visit.host.lower() not in self._hosts:
            raise Refusal(403, f"Forbidden: expected one of {', '.join(sorted(self._hosts))}")
        if visit.origin is not None and visit.origin.lower() != f"http://{visit.host.lower()}":
            raise Refusal(403, "Forbidden: expected no page but this server's own")
        if visit.query:
            raise Refusal(400, "Bad Request: expected no query; a token there ends up in histories")

    def check_token(self, visit: Visit) -> None:
        """Raise Refusal unless the token is the right one."""
        while self._wrong and self._now() - self._wrong[0] > GUESSES_S:
            self._wrong.popleft()
        if len(self._wrong) >= GUESSES:
            raise Refusal(429, "Too Many Requests: too many wrong tokens, wait a minute")
        if not hmac.compare_digest(visit.token.encode(errors="replace"), self._token):
            if visit.token:
                self._wrong.append(self._now())
            raise Refusal(401, "Unauthorized: expected the token that jarvis-ear console printed")


def offered_token(protocols: Iterable[str]) -> str:
    """Return the token among the subprotocols that are offered, or nothing."""
    for protocol in protocols:
        if protocol.startswith(_OFFER):
            return protocol.removeprefix(_OFFER)
    return ""


def bearer_token(authorization: str) -> str:
    """Return the token of an ``Authorization`` header, or nothing."""
    return authorization[len(_SCHEME) :] if authorization.startswith(_SCHEME) else ""
